#include "admin/endpoints.h"

#include <fmt/format.h>

namespace hamster::admin {

using runtime::Task;

struct Endpoints::Gauges {
    explicit Gauges(base::Metrics& m)
        : uptime(m.gauge("hamster_uptime_seconds", "Seconds since the node started")),
          buckets(m.gauge("hamster_buckets", "Buckets")),
          objects(m.gauge("hamster_objects", "Current objects")),
          object_bytes(m.gauge("hamster_object_bytes", "Bytes of all versions and parts")),
          stored_bytes(m.gauge("hamster_store_live_bytes", "Live bytes of the shard store")),
          disk_bytes(m.gauge("hamster_store_disk_bytes", "Bytes its segments occupy")),
          disk_free(m.gauge("hamster_disk_free_bytes", "Free bytes of the data directory's disk")),
          disk_total(m.gauge("hamster_disk_total_bytes", "Size of the data directory's disk")),
          full(m.gauge("hamster_store_full", "1 while writes are refused for lack of space")),
          ready(m.gauge("hamster_ready", "1 while the node serves")) {}
    base::Gauge& uptime;
    base::Gauge& buckets;
    base::Gauge& objects;
    base::Gauge& object_bytes;
    base::Gauge& stored_bytes;
    base::Gauge& disk_bytes;
    base::Gauge& disk_free;
    base::Gauge& disk_total;
    base::Gauge& full;
    base::Gauge& ready;
};

namespace {

HttpAnswer text(int status, std::string body) {
    HttpAnswer answer;
    answer.status = status;
    answer.body = std::move(body) + "\n";
    return answer;
}

std::int64_t as_gauge(std::uint64_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

std::string_view to_string(State state) {
    switch (state) {
        case State::kStarting:
            return "starting";
        case State::kServing:
            return "serving";
        case State::kDraining:
            return "draining";
    }
    return "unknown";
}

Endpoints::Endpoints(Subject* subject)
    : subject_(subject), gauges_(std::make_shared<Gauges>(subject->metrics())) {}

Task<HttpAnswer> Endpoints::handle(HttpRequest request) {
    const bool is_known =
        request.path == "/metrics" || request.path == "/healthz" || request.path == "/readyz";
    if (!is_known) co_return text(404, "there are /metrics, /healthz and /readyz");
    if (request.method != "GET" && request.method != "HEAD") {
        HttpAnswer answer = text(405, "GET only");
        answer.headers.emplace_back("Allow", "GET, HEAD");
        co_return answer;
    }
    if (request.path == "/metrics") co_return co_await metrics();
    if (request.path == "/healthz") co_return co_await health();
    co_return co_await ready();
}

Task<HttpAnswer> Endpoints::metrics() {
    auto report = co_await subject_->report();
    if (report) {  // otherwise the last values stay
        gauges_->uptime.set(as_gauge(report->uptime_s));
        gauges_->buckets.set(as_gauge(report->buckets));
        gauges_->objects.set(as_gauge(report->objects));
        gauges_->object_bytes.set(as_gauge(report->object_bytes));
        gauges_->stored_bytes.set(as_gauge(report->stored_bytes));
        gauges_->disk_bytes.set(as_gauge(report->disk_bytes));
        gauges_->disk_free.set(as_gauge(report->disk_free_bytes));
        gauges_->disk_total.set(as_gauge(report->disk_total_bytes));
        gauges_->full.set(report->full ? 1 : 0);
    }
    gauges_->ready.set(subject_->state() == State::kServing ? 1 : 0);
    HttpAnswer answer;
    answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer.body = subject_->metrics().render();
    co_return answer;
}

// Alive and able to keep its promises: a node whose log is poisoned answers 503 here, so that it is
// restarted or replaced. A full disk is not ill health: reads and deletes go on.
Task<HttpAnswer> Endpoints::health() {
    auto probed = co_await subject_->probe();
    if (!probed && probed.error().code != Code::kNoSpace) {
        co_return text(503, "unhealthy: " + probed.error().context);
    }
    co_return text(200, "ok");
}

// Should clients be sent here? Not while starting or draining. A full node stays ready: it still
// reads and deletes, and deleting is how space comes back.
Task<HttpAnswer> Endpoints::ready() {
    const State state = subject_->state();
    if (state != State::kServing) co_return text(503, std::string(to_string(state)));
    auto probed = co_await subject_->probe();
    if (!probed && probed.error().code != Code::kNoSpace) {
        co_return text(503, "unhealthy: " + probed.error().context);
    }
    auto report = co_await subject_->report();
    if (report && report->full) co_return text(200, "ready, but full: writes answer 507");
    co_return text(200, "ready");
}

}  // namespace hamster::admin
