#include "s3/request_metrics.h"

#include <string>

namespace hamster::s3 {

RequestMetrics::RequestMetrics(base::Metrics* metrics)
    : metrics_(metrics),
      in_flight_(metrics->gauge("hamster_s3_requests_in_flight", "Requests being executed.")),
      connections_(metrics->gauge("hamster_s3_connections", "Open client connections.")),
      bytes_in_(
          metrics->counter("hamster_s3_received_bytes_total", "Bytes of request bodies received.")),
      bytes_out_(metrics->counter("hamster_s3_sent_bytes_total",
                                  "Bytes of replies sent, heads included.")) {}

std::string_view RequestMetrics::name_of(std::size_t index) {
    return index < kActionCount ? to_string(static_cast<Action>(index)) : "Unknown";
}

base::Counter& RequestMetrics::requests(PerAction& row, std::size_t index, int status) {
    for (const PerStatus& known : row.statuses) {
        if (known.status == status) return *known.requests;
    }
    base::Counter& counter = metrics_->counter(
        "hamster_s3_requests_total", "Requests answered, by operation and status code.",
        {{"operation", std::string(name_of(index))}, {"code", std::to_string(status)}});
    row.statuses.push_back({status, &counter});
    return counter;
}

void RequestMetrics::finished(std::optional<Action> action, int status, std::uint64_t duration_us,
                              std::uint64_t bytes_in, std::uint64_t bytes_out) {
    const std::size_t index = action ? static_cast<std::size_t>(*action) : kActionCount;
    PerAction& row = rows_[index];
    if (row.duration == nullptr) {
        row.duration = &metrics_->histogram("hamster_s3_request_duration_seconds",
                                            "From the end of the head to the end of the reply.",
                                            {{"operation", std::string(name_of(index))}});
    }
    requests(row, index, status).add();
    row.duration->observe_us(duration_us);
    bytes_in_.add(bytes_in);
    bytes_out_.add(bytes_out);
}

}  // namespace hamster::s3
