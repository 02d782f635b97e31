#include "rpc/connection.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace hamster::rpc {

namespace {

// The watch looks at least so often; it bounds how long stop() waits for it.
constexpr runtime::Micros kWatch = std::chrono::milliseconds(100);
// What errors, pings and pongs may queue beyond max_queued_bytes: an error for each of the calls
// that a connection serves by default, at full length.
constexpr std::size_t kUrgentBytes = 2UL * 1024 * 1024;

}  // namespace

struct Connection::Pending {
    runtime::Time deadline;
    std::optional<Result<std::string>> answer;
    runtime::Event answered;
};

Connection::Connection(const Endpoint* endpoint, Lane lane, std::optional<base::NodeId> expected,
                       std::function<void(Connection*)> on_end)
    : endpoint_(endpoint), lane_(lane), expected_(expected), on_end_(std::move(on_end)) {
    HAMSTER_ASSERT(endpoint->world != nullptr && endpoint->handler != nullptr);
    HAMSTER_ASSERT(endpoint->verify != nullptr);
    if (expected) peer_ = *expected;
}

Connection::~Connection() {
    HAMSTER_ASSERT(calls_.empty() || runtime::WaiterRegistry::abandoning(), calls_.size());
}

void Connection::start(const char* name, runtime::Task<void> task) {
    runtime::spawn(endpoint_->world->executor, gate_, name, std::move(task));
}

runtime::Task<void> Connection::run(runtime::Task<Result<StreamPtr>> stream) {
    HAMSTER_ASSERT(!running_);
    running_ = true;
    if (!has_ended()) start("rpc watch", watch());
    auto dialled = co_await std::move(stream);
    if (!dialled) {
        end(std::move(dialled.error()));
    } else if (has_ended()) {
        (*dialled)->close();
    } else {
        stream_ = std::move(*dialled);
        state_ = State::kGreeting;
        greet_until_ = clock().now() + endpoint_->limits.greet_within;
        auto greeted = co_await greet();
        if (!greeted) {
            end(std::move(greeted.error()));
        } else if (!has_ended()) {
            state_ = State::kOpen;
            opened_at_ = heard_ = pinged_ = clock().now();
            start("rpc write", write_loop());
            endpoint_->handler->on_met(peer_);
            co_await read_loop();
        }
    }
    HAMSTER_ASSERT(has_ended());
    co_await gate_.close();
    stream_.reset();  // whoever still holds this holds no buffers
    reader_ = FrameReader();
    finished_.set();
}

void Connection::end(Error why) {
    if (has_ended()) return;
    state_ = State::kEnded;
    reason_ = std::move(why);
    if (stream_) stream_->close();
    outgoing_.clear();
    filled_.notify_all();
    const auto lost = std::exchange(calls_, {});
    deadlines_.clear();
    for (const auto& [id, pending] : lost) {
        pending->answer =
            fail(Code::kUnavailable, fmt::format("node {}: {}", peer_.hex(), reason_.context));
        pending->answered.set();
    }
    if (on_end_) on_end_(this);
}

runtime::Task<void> Connection::stop() {
    end(Error{Code::kUnavailable, "this node is stopping"});
    if (running_) co_await finished_.wait();
}

runtime::Task<Result<std::string>> Connection::wait_for(std::shared_ptr<Pending> pending) {
    co_await pending->answered.wait();
    HAMSTER_ASSERT(pending->answer.has_value());
    co_return std::move(*pending->answer);
}

// Why a call cannot be made, if it cannot.
std::optional<Error> Connection::obstacle(std::size_t bytes, runtime::Time deadline) const {
    if (has_ended()) return Error{Code::kUnavailable, reason_.context};
    if (deadline <= clock().now()) {
        return Error{Code::kTimeout, "the deadline had passed before the call"};
    }
    if (bytes > kMaxPayload) {
        return Error{Code::kTooLarge, fmt::format("a request of {} bytes", bytes)};
    }
    if (calls_.size() >= endpoint_->limits.max_calls) {
        return Error{Code::kUnavailable, "too many calls in flight to this node"};
    }
    return std::nullopt;
}

runtime::Task<Result<std::string>> Connection::call(Method method, std::string payload,
                                                    runtime::Time deadline) {
    auto pending = std::make_shared<Pending>();
    pending->deadline = deadline;
    std::optional<Error> error = obstacle(payload.size(), deadline);
    if (!error && !enqueue({.kind = FrameKind::kRequest,
                            .method = method,
                            .call = next_call_,
                            .payload = std::move(payload)},
                           Urgency::kNormal)) {
        error = Error{Code::kUnavailable, "too many bytes queued to this node"};
    }
    if (error) {
        pending->answer = std::unexpected(std::move(*error));
        pending->answered.set();
        return wait_for(std::move(pending));
    }
    const std::uint64_t id = next_call_++;
    calls_.emplace(id, pending);
    deadlines_.emplace(deadline, id);
    if (deadline < alarm_) {
        alarm_ = deadline;
        start("rpc deadline", wake_at(deadline));
    }
    return wait_for(std::move(pending));
}

bool Connection::post(Method method, std::string payload) {
    if (has_ended() || payload.size() > kMaxPayload) return false;
    return enqueue({.kind = FrameKind::kPost, .method = method, .payload = std::move(payload)},
                   Urgency::kNormal);
}

// A call that is not known any more was answered by its deadline.
void Connection::settle(std::uint64_t call, Result<std::string> answer) {
    const auto at = calls_.find(call);
    if (at == calls_.end()) return;
    const std::shared_ptr<Pending> pending = std::move(at->second);
    calls_.erase(at);
    deadlines_.erase({pending->deadline, call});
    HAMSTER_ASSERT(!pending->answer.has_value(), call);
    pending->answer = std::move(answer);
    pending->answered.set();
}

void Connection::expire_calls() {
    const runtime::Time now = clock().now();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        settle(deadlines_.begin()->second,
               fail(Code::kTimeout, fmt::format("no answer of node {} in time", peer_.hex())));
    }
}

void Connection::keep_alive() {
    const runtime::Time now = clock().now();
    const ConnectionLimits& limits = endpoint_->limits;
    if (state_ == State::kGreeting && now >= greet_until_) {
        end(Error{Code::kTimeout, "the peer did not greet in time"});
    }
    if (state_ != State::kOpen) return;
    if (now >= heard_ + limits.dead_after) {
        end(Error{Code::kTimeout, "nothing was heard of the peer for too long"});
    } else if (now >= std::max(heard_, pinged_) + limits.ping_after) {
        pinged_ = now;
        (void)enqueue({.kind = FrameKind::kPing}, Urgency::kUrgent);
    }
}

runtime::Task<void> Connection::watch() {
    while (!has_ended()) {
        expire_calls();
        keep_alive();
        if (has_ended()) break;
        const runtime::Time now = clock().now();
        watch_at_ = now + kWatch;
        if (!deadlines_.empty()) watch_at_ = std::min(watch_at_, deadlines_.begin()->first);
        alarm_ = watch_at_;
        co_await clock().sleep(watch_at_ - now);
    }
}

// For deadlines before the watch looks next.
runtime::Task<void> Connection::wake_at(runtime::Time time) {
    for (;;) {
        co_await clock().sleep(time - clock().now());
        expire_calls();
        alarm_ = watch_at_;
        if (deadlines_.empty() || deadlines_.begin()->first >= watch_at_) co_return;
        time = alarm_ = deadlines_.begin()->first;
    }
}

bool Connection::enqueue(Frame frame, Urgency urgency) {
    HAMSTER_ASSERT(!has_ended());
    const std::size_t limit =
        endpoint_->limits.max_queued_bytes + (urgency == Urgency::kUrgent ? kUrgentBytes : 0);
    if (queued_bytes_ + frame.bytes() > limit) return false;
    queued_bytes_ += frame.bytes();
    const FrameHeaderBytes header = encode_header(frame);
    outgoing_.push_back({header, std::move(frame)});
    if (state_ == State::kOpen) filled_.notify_all();
    return true;
}

}  // namespace hamster::rpc
