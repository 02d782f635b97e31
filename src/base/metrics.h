// Metrics: counters, gauges, histograms, rendered as Prometheus text (exposition format 0.0.4).
// A registry belongs to a node; nothing is global. Metric objects live as long as the registry and
// may be bumped from any thread without locks; registration takes a lock, so do it once and keep
// the reference.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hamster::base {

class Counter {
  public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

class Gauge {
  public:
    void set(std::int64_t v) { value_.store(v, std::memory_order_relaxed); }
    void add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::int64_t> value_{0};
};

// Durations in microseconds; rendered in seconds, buckets doubling from 50 us to about 100 s.
class Histogram {
  public:
    static constexpr int kBuckets = 22;
    void observe_us(std::uint64_t us);
    [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }
    static std::uint64_t bound_us(int bucket) { return std::uint64_t{50} << bucket; }

  private:
    friend class Metrics;
    std::atomic<std::uint64_t> buckets_[kBuckets + 1] = {};
    std::atomic<std::uint64_t> count_{0};
    std::atomic<std::uint64_t> sum_us_{0};
};

using Labels = std::vector<std::pair<std::string, std::string>>;

class Metrics {
  public:
    // The same name and labels, in any order, give the same object. Asking for a name as another
    // type is our bug and asserts. Names follow Prometheus: hamster_x_total.
    Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels = {});
    // Evaluated at render time, on the rendering thread, under the registry's lock: it must not
    // call back into the registry. Registering the name again replaces the function.
    void gauge_fn(std::string_view name, std::string_view help, std::function<double()> fn);
    [[nodiscard]] std::string render() const;

  private:
    struct Family {
        std::string help;
        std::string type;
        std::map<std::string, std::unique_ptr<Counter>> counters;  // by rendered labels
        std::map<std::string, std::unique_ptr<Gauge>> gauges;
        std::map<std::string, std::unique_ptr<Histogram>> histograms;
        std::function<double()> fn;
    };
    Family& family(std::string_view name, std::string_view help, std::string_view type);

    mutable std::mutex mutex_;
    std::map<std::string, Family> families_;
};

}  // namespace hamster::base
