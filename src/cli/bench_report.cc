#include "cli/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

namespace hamster::cli::bench {

namespace json = boost::json;

namespace {

constexpr double kMiB = 1024.0 * 1024.0;

double per(std::uint64_t amount, std::uint64_t of) {
    return of == 0 ? 0 : static_cast<double>(amount) / static_cast<double>(of);
}

double per_second(std::uint64_t amount, const Report& report) {
    return per(amount, report.elapsed_us) * 1e6;
}

// 1234567 -> 1,234,567
std::string grouped(double number) {
    std::string text = fmt::format("{:.0f}", number);
    for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
    return text;
}

std::string latency_text(const Histogram& latency) {
    const auto ms = [](std::uint64_t us) { return static_cast<double>(us) / 1000; };
    return fmt::format("p50 {:.3f}  p90 {:.3f}  p99 {:.3f}  p99.9 {:.3f}  max {:.3f}",
                       ms(latency.quantile(0.5)), ms(latency.quantile(0.9)),
                       ms(latency.quantile(0.99)), ms(latency.quantile(0.999)), ms(latency.max()));
}

json::object latency_json(const Histogram& latency) {
    return {{"mean", latency.mean()},           {"p50", latency.quantile(0.5)},
            {"p90", latency.quantile(0.9)},     {"p99", latency.quantile(0.99)},
            {"p99.9", latency.quantile(0.999)}, {"max", latency.max()}};
}

std::string what_ran(const Options& options) {
    const std::string size =
        options.mode == Mode::kList || (options.size == 0 && !options.path.empty())
            ? ""
            : " " + size_text(options.size);
    return fmt::format("{}{}, {} client{}, {}://{}{}", name_of(options.mode), size, options.clients,
                       options.clients == 1 ? "" : "s", options.endpoint.tls ? "https" : "http",
                       options.endpoint.host_header(), options.path);
}

void append_line(std::string* text, std::string_view name, const std::string& value) {
    *text += fmt::format("  {:<15} {}\n", name, value);
}

}  // namespace

void Tally::merge(const Tally& other) {
    for (std::size_t op = 0; op < kOps; ++op) latency_us[op].merge(other.latency_us[op]);
    for (const auto& [error, count] : other.errors) errors[error] += count;
    if (first_error.empty()) first_error = other.first_error;
    bytes += other.bytes;
    keys += other.keys;
}

Histogram Tally::latency() const {
    Histogram all;
    for (const Histogram& one : latency_us) all.merge(one);
    return all;
}

std::uint64_t Tally::error_count() const {
    std::uint64_t sum = 0;
    for (const auto& [error, count] : errors) sum += count;
    return sum;
}

std::string report_text(const Options& options, const Report& report) {
    const Tally& tally = report.tally;
    const Histogram all = tally.latency();
    std::string text = what_ran(options) + "\n";
    append_line(&text, "requests",
                fmt::format("{} in {:.2f} s", grouped(static_cast<double>(all.count())),
                            static_cast<double>(report.elapsed_us) / 1e6));
    append_line(&text, "requests/s", grouped(per_second(all.count(), report)));
    if (options.mode == Mode::kList) {
        append_line(&text, "keys/s", grouped(per_second(tally.keys, report)));
    } else if (tally.bytes > 0) {
        append_line(&text, "MiB/s", fmt::format("{:.1f}", per_second(tally.bytes, report) / kMiB));
    }
    append_line(&text, "latency ms", latency_text(all));
    for (std::size_t op = 0; op < kOps && options.mode == Mode::kMixed; ++op) {
        const Histogram& one = tally.latency_us[op];
        if (one.count() == 0) continue;
        append_line(
            &text, fmt::format("  {}", name_of(static_cast<Op>(op))),
            fmt::format("{}/s  {}", grouped(per_second(one.count(), report)), latency_text(one)));
    }
    append_line(&text, "generator CPU",
                fmt::format("{:.1f} us/request", per(report.own_cpu_us, all.count())));
    if (report.server) {
        append_line(&text, "server",
                    fmt::format("{:.1f} CPU us/request, {:.0f} MiB resident, at most {:.0f}",
                                per(report.server->cpu_us, all.count()),
                                static_cast<double>(report.server->rss_bytes) / kMiB,
                                static_cast<double>(report.server->peak_bytes) / kMiB));
    }
    append_line(&text, "errors", grouped(static_cast<double>(tally.error_count())));
    for (const auto& [error, count] : tally.errors) {
        append_line(&text, "", fmt::format("{} x {}", count, error));
    }
    if (!tally.first_error.empty()) append_line(&text, "first of them", tally.first_error);
    return text;
}

std::string report_json(const Options& options, const Report& report) {
    const Tally& tally = report.tally;
    const Histogram all = tally.latency();
    json::object errors;
    for (const auto& [error, count] : tally.errors) errors[error] = count;
    json::object operations;
    for (std::size_t op = 0; op < kOps; ++op) {
        const Histogram& one = tally.latency_us[op];
        if (one.count() == 0) continue;
        operations[name_of(static_cast<Op>(op))] =
            json::object{{"requests", one.count()}, {"latency_us", latency_json(one)}};
    }
    json::object out = {{"mode", name_of(options.mode)},
                        {"size", options.size},
                        {"clients", options.clients},
                        {"seconds", static_cast<double>(report.elapsed_us) / 1e6},
                        {"requests", all.count()},
                        {"requests_per_second", per_second(all.count(), report)},
                        {"bytes_per_second", per_second(tally.bytes, report)},
                        {"keys", tally.keys},
                        {"keys_per_second", per_second(tally.keys, report)},
                        {"latency_us", latency_json(all)},
                        {"operations", std::move(operations)},
                        {"generator_cpu_us_per_request", per(report.own_cpu_us, all.count())},
                        {"errors", std::move(errors)},
                        {"first_error", tally.first_error}};
    if (report.server) {
        out["server_cpu_us_per_request"] = per(report.server->cpu_us, all.count());
        out["server_rss_bytes"] = report.server->rss_bytes;
        out["server_peak_bytes"] = report.server->peak_bytes;
    }
    return json::serialize(out) + "\n";
}

}  // namespace hamster::cli::bench
