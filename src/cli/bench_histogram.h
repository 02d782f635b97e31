// Latencies in fixed memory: log-linear buckets, so that any value is known to within 1 %. One
// thread; merge to add up those of several.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hamster::cli::bench {

class Histogram {
  public:
    void record(std::uint64_t value);
    void merge(const Histogram& other);
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t max() const { return max_; }
    [[nodiscard]] double mean() const;
    // The smallest value that at least `fraction` (0..1] of all values do not exceed, rounded up to
    // the end of its bucket; 0 when empty.
    [[nodiscard]] std::uint64_t quantile(double fraction) const;

  private:
    static constexpr unsigned kSubBits = 7;  // 128 buckets per power of two
    static constexpr std::size_t kBuckets = (64 - kSubBits + 1) << kSubBits;
    static std::size_t bucket_of(std::uint64_t value);
    static std::uint64_t last_of(std::size_t bucket);

    std::array<std::uint64_t, kBuckets> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace hamster::cli::bench
