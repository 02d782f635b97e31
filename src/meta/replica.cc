#include "meta/replica.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "meta/apply.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "meta/replica_impl.h"

namespace hamster::meta {

using proto::Answer;
using proto::Command;
using runtime::Micros;
using runtime::Task;

namespace {

// A change of leaders takes a second or two: so long a proposal or a read is tried again before
// the caller hears of it.
constexpr Micros kProposeFor = std::chrono::seconds(10);
constexpr Micros kAskWithin = std::chrono::seconds(4);  // one attempt at another node
constexpr Micros kReadFor = std::chrono::seconds(5);
constexpr Micros kRetryAfter = std::chrono::milliseconds(20);

const Error kStopping{Code::kUnavailable, "the metadata is stopping"};

// It changed nothing, and will be the same next time.
bool is_final(Code code) {
    return code == Code::kNoSpace || code == Code::kTooLarge || code == Code::kIo ||
           code == Code::kInvalid || code == Code::kDenied;
}

}  // namespace

ReplicaImpl::ReplicaImpl(runtime::World* control, std::string dir, GroupOptions options,
                         base::Metrics* metrics, Place place, std::unique_ptr<kv::Store> store)
    : control_(control),
      dir_(std::move(dir)),
      options_(options),
      place_(std::move(place)),
      store_(std::move(store)),
      commits_(metrics->counter("hamster_meta_commits_total", "Commands committed.")),
      commit_seconds_(metrics->histogram("hamster_meta_commit_seconds",
                                         "From proposal to answer, by command.")),
      queue_(metrics->gauge("hamster_meta_apply_queue", "Proposals not answered yet.")),
      log_bytes_(metrics->gauge("hamster_meta_log_unflushed_bytes",
                                "Log bytes the store has not flushed.")),
      slots_(kMaxProposalsInFlight) {}

// ---- proposing ------------------------------------------------------------------------------

Task<Result<Answer>> ReplicaImpl::propose(Command command) {
    co_return co_await runtime::run_on(control_->executor, propose_counted(std::move(command)));
}

Task<Result<Answer>> ReplicaImpl::propose_counted(Command command) {
    if (!gate_.is_open()) co_return std::unexpected(kStopping);
    gate_.enter();
    queue_.add(1);
    const runtime::Time start = control_->clock.now();
    co_await slots_.acquire(1);
    auto answer = co_await propose_until_known(std::move(command));
    slots_.release(1);
    const auto elapsed = control_->clock.now() - start;
    commit_seconds_.observe_us(static_cast<std::uint64_t>(elapsed.count()));
    queue_.add(-1);
    gate_.leave();
    co_return answer;
}

std::optional<Error> ReplicaImpl::obstacle() const {
    const auto& failure = driver_->failure();
    if (!failure) return std::nullopt;
    return Error{Code::kIo, "the metadata takes no writes: " + failure->context};
}

// Retried under one request id, so that it happens once however often it is asked for.
Task<Result<Answer>> ReplicaImpl::propose_until_known(Command command) {
    if (command.request_id().empty()) {
        const auto id = mint_request_id(stamp_now(), control_->random.id<base::RequestId>());
        command.set_request_id(std::string(id.view()));
    }
    const runtime::Time deadline = control_->clock.now() + kProposeFor;
    bool may_have_happened = false;
    for (;;) {
        auto answer = co_await attempt(&command);
        if (answer) co_return answer;
        const Error error = answer.error();
        may_have_happened |= error.code != Code::kUnavailable && !is_final(error.code);
        const bool is_over = is_final(error.code) || driver_->failure() || is_ending_ ||
                             control_->clock.now() >= deadline;
        if (is_over && may_have_happened) co_return fail(Code::kUnknownOutcome, error.context);
        if (is_over) co_return answer;
        co_await control_->clock.sleep(kRetryAfter);
    }
}

// `command` lives in the frame that awaits this.
Task<Result<Answer>> ReplicaImpl::attempt(const Command* command) {
    if (auto error = obstacle()) co_return std::unexpected(*error);
    const raft::Core& core = driver_->core();
    if (core.role() == raft::Role::kLeader) {
        auto answer = co_await propose_as_leader(*command);
        co_return answer;
    }
    const base::NodeId leader = core.leader();
    if (leader.is_zero()) co_return fail(Code::kUnavailable, "the metadata has no leader");
    auto answer = co_await propose_elsewhere(leader, command->SerializeAsString());
    co_return answer;
}

Task<Result<Answer>> ReplicaImpl::propose_as_leader(Command command) {
    // A new leader has only its own clock until it has heard a majority.
    if (!driver_->knows_cluster_time()) {
        co_return fail(Code::kUnavailable, "the leader does not know the time yet");
    }
    command.set_stamp_ms(next_stamp());
    auto placed = co_await driver_->propose(command.SerializeAsString());
    CO_TRY_ASSIGN(const raft::Tail at, placed);
    auto answer = answers_.extract(at.index.value);
    HAMSTER_ASSERT(!answer.empty(), at.index.value);
    co_return std::move(answer.mapped());
}

Task<Result<Answer>> ReplicaImpl::propose_elsewhere(base::NodeId leader, std::string bytes) {
    HAMSTER_ASSERT(options_.wire != nullptr);
    if (!gate_.is_open()) co_return std::unexpected(kStopping);
    auto forwarded = std::make_shared<Forwarded>();
    forwarded->leader = leader;
    const std::uint64_t serial = next_forwarded_++;
    forwarded_.emplace(serial, forwarded);
    runtime::spawn(control_->executor, gate_, "meta forward", forward(forwarded, std::move(bytes)));
    co_await forwarded->done.wait();
    forwarded_.erase(serial);
    if (!forwarded->reply) co_return fail(Code::kUnknownOutcome, "the leader changed");
    const Result<std::string>& reply = *forwarded->reply;
    if (!reply) {
        if (is_final(reply.error().code)) co_return std::unexpected(reply.error());
        // Even "unavailable" may come from a connection that ended after the request went out.
        co_return fail(Code::kUnknownOutcome, "the leader: " + reply.error().context);
    }
    Answer answer;
    if (!answer.ParseFromString(*reply)) {
        co_return fail(Code::kUnknownOutcome, "the leader's answer cannot be read");
    }
    co_return answer;
}

Task<void> ReplicaImpl::forward(std::shared_ptr<Forwarded> forwarded, std::string bytes) {
    const runtime::Time deadline = control_->clock.now() + kAskWithin;
    auto reply =
        co_await options_.wire->ask(forwarded->leader, Ask::kPropose, std::move(bytes), deadline);
    forwarded->reply = std::move(reply);
    forwarded->done.set();
}

// A leader that hangs keeps its connections open: whoever waits for it goes on with the next one.
void ReplicaImpl::on_standing() {
    const base::NodeId leader = driver_->core().leader();
    if (leader == led_by_) return;
    led_by_ = leader;
    if (leader.is_zero()) return;
    LOG_INFO("meta", "node {} leads in term {}", leader.hex(), driver_->core().term().value);
    for (const auto& [serial, forwarded] : forwarded_) {
        if (forwarded->leader != leader) forwarded->done.set();
    }
}

Task<Result<std::string>> ReplicaImpl::serve(base::NodeId from, Ask what, std::string payload) {
    (void)from;
    if (!gate_.is_open()) co_return std::unexpected(kStopping);
    gate_.enter();
    Result<std::string> reply = fail(Code::kUnsupported, "this version does not know the request");
    if (what == Ask::kPropose) {
        auto command = decode_command(base::as_bytes(payload));
        Result<Answer> answer = fail(Code::kInvalid, "a command that cannot be read");
        if (auto error = obstacle()) {
            answer = fail(Code::kUnavailable, error->context);  // another node may lead soon
        } else if (command) {
            answer = co_await propose_as_leader(std::move(*command));
        }
        if (answer) reply = answer->SerializeAsString();
        if (!answer) reply = std::unexpected(std::move(answer).error());
    } else if (what == Ask::kSnapshot) {
        proto::SnapshotPart part;
        if (part.ParseFromString(payload)) {
            reply = co_await receive_part(std::move(part));
        } else {
            reply = fail(Code::kInvalid, "a part of a snapshot that cannot be read");
        }
    }
    gate_.leave();
    co_return reply;
}

Task<Result<void>> ReplicaImpl::change_members(raft::Members next) {
    is_alone_ = false;  // the new member may take part before this is answered
    auto changed = co_await driver_->change_members(std::move(next));
    co_return changed;
}

// ---- reading --------------------------------------------------------------------------------

std::shared_ptr<kv::Store> ReplicaImpl::store() const {
    const std::lock_guard lock(store_mutex_);
    return store_;
}

// Keeps its store: a snapshot from another node may take that one's place meanwhile.
std::shared_ptr<const kv::Snapshot> ReplicaImpl::snapshot() const {
    struct Held {
        std::shared_ptr<kv::Store> store;
        std::shared_ptr<const kv::Snapshot> rows;
    };
    auto held = std::make_shared<Held>();
    held->store = store();
    held->rows = held->store->snapshot();
    const kv::Snapshot* rows = held->rows.get();
    return {std::move(held), rows};
}

// A lone voter applies what it acknowledges before it does: its store has it all.
Task<Result<View>> ReplicaImpl::view() {
    if (is_alone_.load()) co_return View(snapshot());
    auto rows = co_await runtime::run_on(control_->executor, confirmed_rows());
    CO_TRY(rows);
    co_return View(std::move(*rows));
}

Task<Result<ReplicaImpl::Rows>> ReplicaImpl::confirmed_rows() {
    const runtime::Time deadline = control_->clock.now() + kReadFor;
    for (;;) {
        if (!gate_.is_open()) co_return std::unexpected(kStopping);
        auto confirmed = co_await driver_->read_barrier();
        if (confirmed) break;
        const bool is_over = driver_->failure() || is_ending_ || control_->clock.now() >= deadline;
        if (is_over) co_return std::unexpected(std::move(confirmed).error());
        co_await control_->clock.sleep(kRetryAfter);
    }
    is_alone_ = driver_->is_alone();
    co_return snapshot();
}

// ---- time -----------------------------------------------------------------------------------

// Against the time since the start, not this machine's idea of the date: that one may be set right,
// or wrong, between two messages of the leader.
void ReplicaImpl::note_clock() {
    const std::int64_t mine = control_->clock.now().us / 1000;
    const std::uint64_t cluster = std::min(driver_->cluster_time_ms(), StampClock::kMaxMs);
    clock_ahead_ms_ = static_cast<std::int64_t>(cluster) - mine;
}

std::uint64_t ReplicaImpl::next_stamp() {
    note_clock();
    const std::uint64_t now = std::min(driver_->cluster_time_ms(), StampClock::kMaxMs);
    const std::uint64_t stamp = std::max(stamps_.at(control_->clock.now()), now);
    stamps_.note(stamp, control_->clock.now());
    return stamp;
}

std::uint64_t ReplicaImpl::stamp_now() {
    std::uint64_t now = control_->clock.unix_ms();
    if (!is_alone_) {
        const std::int64_t mine = control_->clock.now().us / 1000;
        now = static_cast<std::uint64_t>(std::max<std::int64_t>(0, mine + clock_ahead_ms_));
    }
    return std::max(stamps_.last(), std::min(now, StampClock::kMaxMs));
}

// ---- to and from others ---------------------------------------------------------------------

void ReplicaImpl::receive(const proto::RaftMessage& message) {
    if (!gate_.is_open()) return;
    driver_->receive(message);
    note_clock();
}

void ReplicaImpl::send(proto::RaftMessage message) {
    if (options_.wire != nullptr) options_.wire->send(std::move(message));
}

Task<void> ReplicaImpl::give_up() {
    co_await gate_.close();
    if (driver_) co_await driver_->stop();
}

Task<void> ReplicaImpl::stop() {
    is_ending_ = true;
    co_await gate_.close();
    if (driver_) co_await driver_->stop();
    if (store_failed_) co_return;
    auto flushed = co_await store()->flush();
    if (!flushed) LOG_WARN("meta", "the store was not flushed: {}", flushed.error().context);
}

}  // namespace hamster::meta
