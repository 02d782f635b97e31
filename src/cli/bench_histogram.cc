#include "cli/bench_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.h"

namespace hamster::cli::bench {

// Values below 2^(kSubBits+1) have a bucket each; above, the top kSubBits+1 bits choose it.
std::size_t Histogram::bucket_of(std::uint64_t value) {
    const unsigned width = static_cast<unsigned>(std::bit_width(value));
    if (width <= kSubBits + 1) return value;
    const unsigned shift = width - kSubBits - 1;
    return (std::size_t{shift} << kSubBits) + (value >> shift);
}

std::uint64_t Histogram::last_of(std::size_t bucket) {
    if (bucket < (std::size_t{1} << (kSubBits + 1))) return bucket;
    const std::size_t shift = (bucket >> kSubBits) - 1;
    const std::uint64_t top = bucket - (shift << kSubBits);
    return ((top + 1) << shift) - 1;
}

void Histogram::record(std::uint64_t value) {
    ++counts_[bucket_of(value)];
    ++count_;
    sum_ += value;
    max_ = std::max(max_, value);
}

void Histogram::merge(const Histogram& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
}

double Histogram::mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::uint64_t Histogram::quantile(double fraction) const {
    HAMSTER_ASSERT(fraction > 0 && fraction <= 1, fraction);
    const auto wanted =
        static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets && count_ > 0; ++i) {
        seen += counts_[i];
        if (seen >= wanted) return std::min(last_of(i), max_);
    }
    return 0;
}

}  // namespace hamster::cli::bench
