#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace hamster::base {
namespace {

bool is_metric_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    };
    return !name.empty() && (name[0] < '0' || name[0] > '9') && std::ranges::all_of(name, allowed);
}

// Exposition format: backslash and line feed are escaped everywhere, quotes in label values.
std::string escaped(std::string_view text, bool quotes) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || (quotes && c == '"')) out.push_back('\\');
        out.push_back(c);
    }
    return out;
}

// a="1",b="2", ordered by name: the key of a series, and its text.
std::string label_key(Labels labels) {
    std::ranges::sort(labels);
    std::string key;
    for (const auto& [name, value] : labels) {
        HAMSTER_ASSERT(is_metric_name(name), name);
        if (!key.empty()) key.push_back(',');
        key += fmt::format("{}=\"{}\"", name, escaped(value, true));
    }
    return key;
}

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    return fmt::format("{}", value);
}

// name{labels,extra} value
void add_sample(std::string* out, std::string_view name, std::string_view labels,
                std::string_view extra, std::string_view value) {
    *out += name;
    if (!labels.empty() || !extra.empty()) {
        const std::string_view comma = !labels.empty() && !extra.empty() ? "," : "";
        *out += fmt::format("{{{}{}{}}}", labels, comma, extra);
    }
    *out += fmt::format(" {}\n", value);
}

double seconds(std::uint64_t us) { return static_cast<double>(us) / 1e6; }

template <class T>
T& find_or_add(std::map<std::string, std::unique_ptr<T>>* all, std::string key) {
    std::unique_ptr<T>& slot = (*all)[std::move(key)];
    if (slot == nullptr) slot = std::make_unique<T>();
    return *slot;
}

}  // namespace

void Histogram::observe_us(std::uint64_t us) {
    int bucket = 0;
    while (bucket < kBuckets && us > bound_us(bucket)) ++bucket;
    buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
    sum_us_.fetch_add(us, std::memory_order_relaxed);
}

Metrics::Family& Metrics::family(std::string_view name, std::string_view help,
                                 std::string_view type) {
    HAMSTER_ASSERT(is_metric_name(name), name);
    Family& found = families_[std::string(name)];
    if (found.type.empty()) {
        found.type = type;
        found.help = help;
    }
    HAMSTER_ASSERT(found.type == type, name, found.type, type);
    return found;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    return find_or_add(&family(name, help, "counter").counters, label_key(labels));
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    return find_or_add(&family(name, help, "gauge").gauges, label_key(labels));
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    return find_or_add(&family(name, help, "histogram").histograms, label_key(labels));
}

void Metrics::gauge_fn(std::string_view name, std::string_view help, std::function<double()> fn) {
    const std::lock_guard lock(mutex_);
    family(name, help, "gauge").fn = std::move(fn);
}

std::string Metrics::render() const {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const auto& [name, family] : families_) {
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(family.help, false), name,
                           family.type);
        for (const auto& [labels, counter] : family.counters) {
            add_sample(&out, name, labels, "", fmt::format("{}", counter->value()));
        }
        for (const auto& [labels, gauge] : family.gauges) {
            add_sample(&out, name, labels, "", fmt::format("{}", gauge->value()));
        }
        if (family.fn) add_sample(&out, name, "", "", number(family.fn()));
        for (const auto& [labels, histogram] : family.histograms) {
            // The count is the sum of the buckets as read here, so that a scrape amid
            // observations still has its +Inf bucket equal to its count.
            std::uint64_t total = 0;
            for (int i = 0; i <= Histogram::kBuckets; ++i) {
                total += histogram->buckets_[i].load(std::memory_order_relaxed);
                const std::string bound = i < Histogram::kBuckets
                                              ? number(seconds(Histogram::bound_us(i)))
                                              : std::string("+Inf");
                add_sample(&out, name + "_bucket", labels, fmt::format("le=\"{}\"", bound),
                           fmt::format("{}", total));
            }
            const std::uint64_t sum = histogram->sum_us_.load(std::memory_order_relaxed);
            add_sample(&out, name + "_sum", labels, "", number(seconds(sum)));
            add_sample(&out, name + "_count", labels, "", fmt::format("{}", total));
        }
    }
    return out;
}

}  // namespace hamster::base
