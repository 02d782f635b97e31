// Proposing, when outcomes are unknown; copying, when sources go away.
#include <gtest/gtest.h>

#include <set>

#include "s3/ops/answer.h"
#include "s3/ops/sim_stack.h"
#include "s3/ops/stored.h"

namespace hamster::s3::ops {
namespace {

using runtime::Task;

// Answers as told, in order, and keeps what was proposed.
class ToldGroup final : public meta::Group {
  public:
    std::vector<Result<proto::Answer>> answers;
    std::vector<proto::Command> proposed;

    Task<Result<proto::Answer>> propose(proto::Command command) override {
        const std::size_t at = proposed.size();
        proposed.push_back(std::move(command));
        co_return answers.at(at);
    }
    Task<Result<meta::View>> view() override { co_return fail(Code::kUnavailable, "no view"); }
    std::uint64_t stamp_now() override { return 1'700'000'000'000; }
    Task<void> stop() override { co_return; }
};

Result<proto::Answer> answer(proto::Answer::Status status) {
    proto::Answer out;
    out.set_status(status);
    return out;
}
Result<proto::Answer> failure(Code code) { return fail(code, "told so"); }

Task<void> commit_into(runtime::World* world, ToldGroup* group,
                       std::optional<S3Result<Committed>>* out) {
    proto::Command command;
    command.mutable_delete_bucket()->set_bucket_id("id");
    auto result = co_await commit(world, group, std::move(command));
    out->emplace(std::move(result));
}

S3Result<Committed> run_commit(ToldGroup& group) {
    runtime::sim::Simulator simulator(1);
    std::optional<S3Result<Committed>> out;
    simulator.run(commit_into(&simulator.harness(), &group, &out));
    return std::move(*out);
}

TEST(Commit, AsksAgainUnderTheSameIdWhileTheOutcomeIsUnknown) {
    ToldGroup group;
    group.answers = {failure(Code::kUnknownOutcome), failure(Code::kUnknownOutcome),
                     answer(proto::Answer::OK)};
    const auto result = run_commit(group);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->ok());
    ASSERT_EQ(group.proposed.size(), 3U);
    EXPECT_EQ(group.proposed[0].request_id().size(), 16U);
    EXPECT_EQ(group.proposed[0].request_id(), group.proposed[1].request_id());
    EXPECT_EQ(group.proposed[0].request_id(), group.proposed[2].request_id());
    EXPECT_EQ(group.proposed[2].delete_bucket().bucket_id(), "id");
}

TEST(Commit, StaysUnknownInTheEnd) {
    ToldGroup group;
    group.answers.assign(kMaxProposals, failure(Code::kUnknownOutcome));
    const auto result = run_commit(group);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kServiceUnavailable);
    EXPECT_TRUE(result.error().message.contains("not known")) << result.error().message;
}

// The caller discards the body after a refusal; it must not after this.
TEST(Commit, AnExpiredReplayIsNoRefusal) {
    ToldGroup group;
    group.answers = {failure(Code::kUnknownOutcome), answer(proto::Answer::REQUEST_EXPIRED)};
    const auto result = run_commit(group);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kServiceUnavailable);
    EXPECT_TRUE(result.error().message.contains("not known")) << result.error().message;
}

TEST(Commit, ExpiredAtOnceWasNotApplied) {
    ToldGroup group;
    group.answers = {answer(proto::Answer::REQUEST_EXPIRED)};
    const auto result = run_commit(group);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kServiceUnavailable);
}

TEST(Commit, OtherFailuresAreNotTriedAgain) {
    ToldGroup group;
    group.answers = {failure(Code::kNoSpace)};
    const auto result = run_commit(group);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kInsufficientStorage);
    EXPECT_EQ(group.proposed.size(), 1U);
}

TEST(Commit, ARefusalIsAnAnswer) {
    ToldGroup group;
    group.answers = {answer(proto::Answer::BUCKET_NOT_EMPTY)};
    const auto result = run_commit(group);
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->ok());
}

// A body that a real node has stored, committed to a group that says what it is told.
struct BodyRun {
    testing::Stack stack;
    ToldGroup group;
    std::optional<S3Result<Committed>> outcome;
    std::optional<proto::NewBlob> blob;
};

class TextBody final : public objects::BodySource {
  public:
    Task<Result<std::size_t>> read(base::MutableBytes out) override {
        const std::string_view left = std::string_view("hamster").substr(at_);
        std::memcpy(out.data(), left.data(), left.size());
        at_ += left.size();
        co_return left.size();
    }

  private:
    std::size_t at_ = 0;
};

Task<void> run_body(BodyRun* run) {
    const bool opened = co_await run->stack.open();
    EXPECT_TRUE(opened);
    TextBody source;
    auto stored = co_await run->stack.objects->store(&source, 7);
    EXPECT_TRUE(stored.has_value());
    proto::Command command;
    *command.mutable_put_part()->add_new_blobs() = *stored->blob;
    Context context{run->stack.world, run->stack.objects.get(), &run->stack.settings,
                    &run->stack.metrics};
    auto outcome = co_await commit_body(&context, &run->group, std::move(command), &*stored);
    run->outcome.emplace(std::move(outcome));
    run->blob = stored->blob;
    co_await run->stack.close();
}

S3Result<Committed> run_body_commit(BodyRun& run) {
    runtime::sim::Simulator simulator(1);
    runtime::sim::Machine& machine = simulator.machine("node");
    run.stack.world = &machine.boot();
    EXPECT_TRUE(simulator.run_on(machine, run_body(&run)));
    machine.crash([&] {
        run.stack.objects.reset();
        run.stack.shards.reset();
        run.stack.router.reset();
        run.stack.group.reset();
    });
    return std::move(*run.outcome);
}

TEST(Commit, ABodyFollowsTheLayoutAndIsProposedAnew) {
    BodyRun run;
    run.group.answers = {answer(proto::Answer::LAYOUT_CHANGED), failure(Code::kUnknownOutcome),
                         answer(proto::Answer::OK)};
    const auto result = run_body_commit(run);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->ok());
    ASSERT_EQ(run.group.proposed.size(), 3U);
    EXPECT_NE(run.group.proposed[0].request_id(), run.group.proposed[1].request_id())
        << "the refusal would be answered again";
    EXPECT_EQ(run.group.proposed[1].request_id(), run.group.proposed[2].request_id());
    const proto::PutPart& put = run.group.proposed[2].put_part();
    ASSERT_EQ(put.new_blobs_size(), 1);
    EXPECT_EQ(put.new_blobs(0).SerializeAsString(), run.blob->SerializeAsString());
}

TEST(Commit, ALayoutThatKeepsChangingIsNotFollowedForEver) {
    BodyRun run;
    run.group.answers.assign(kMaxSettles + 1, answer(proto::Answer::LAYOUT_CHANGED));
    const auto result = run_body_commit(run);
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->ok());
    EXPECT_EQ(error_of(result->answer).code, ErrorCode::kSlowDown);
    EXPECT_EQ(run.group.proposed.size(), static_cast<std::size_t>(kMaxSettles) + 1);
}

TEST(Commit, OtherRefusalsOfABodyAreFinal) {
    BodyRun run;
    run.group.answers = {answer(proto::Answer::PRECONDITION_FAILED)};
    const auto result = run_body_commit(run);
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->ok());
    EXPECT_EQ(run.group.proposed.size(), 1U);
}

RequestHead head_of(std::string method, std::string path, std::vector<Header> headers = {}) {
    RequestHead head;
    head.method = std::move(method);
    head.target = path;
    head.raw_path = std::move(path);
    head.headers = std::move(headers);
    return head;
}

struct Race {
    testing::Stack stack;
    int overwrites = 0;
    int copies = 0;
    int refused = 0;
    bool writer_done = false;
};

constexpr int kRounds = 60;

std::string body_number(int round) { return std::string(200, static_cast<char>('a' + round % 26)); }

Task<void> overwrite(Race* race) {
    for (int round = 0; round < kRounds; ++round) {
        auto reply = co_await testing::perform(
            &race->stack, "root", head_of("PUT", "/bucket/source"), body_number(round));
        if (reply) ++race->overwrites;
    }
    race->writer_done = true;
}

// Each copy must succeed; what it made must be one of the bodies, whole.
Task<void> copy_meanwhile(Race* race) {
    while (!race->writer_done) {
        auto copied = co_await testing::perform(
            &race->stack, "root",
            head_of("PUT", "/bucket/copy", {{"x-amz-copy-source", "/bucket/source"}}), "");
        if (!copied) {
            ++race->refused;
            continue;
        }
        ++race->copies;
        auto got =
            co_await testing::perform(&race->stack, "root", head_of("GET", "/bucket/copy"), "");
        EXPECT_TRUE(got.has_value());
        if (!got) continue;
        const auto body = co_await testing::body_of(&*got);
        EXPECT_TRUE(body.has_value());
        if (!body) continue;
        EXPECT_EQ(body->size(), 200U);
        EXPECT_EQ(std::set<char>(body->begin(), body->end()).size(), 1U);
    }
}

Task<void> run_race(Race* race) {
    const bool opened = co_await race->stack.open();
    EXPECT_TRUE(opened);
    if (!opened) co_return;
    auto bucket = co_await testing::perform(&race->stack, "root", head_of("PUT", "/bucket"), "");
    EXPECT_TRUE(bucket.has_value());
    auto first = co_await testing::perform(&race->stack, "root", head_of("PUT", "/bucket/source"),
                                           body_number(0));
    EXPECT_TRUE(first.has_value());
    runtime::Gate gate;
    runtime::spawn(race->stack.world->executor, gate, "overwrite", overwrite(race));
    runtime::spawn(race->stack.world->executor, gate, "copy", copy_meanwhile(race));
    co_await gate.close();
    co_await race->stack.close();
}

TEST(Copy, OfASourceThatIsBeingOverwritten) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        runtime::sim::Simulator simulator(seed);
        Race race;
        runtime::sim::Machine& machine = simulator.machine("node");
        race.stack.world = &machine.boot();
        runtime::Gate gate;
        runtime::spawn(race.stack.world->executor, gate, "race", run_race(&race));
        EXPECT_TRUE(simulator.run_until([&] { return gate.count() == 0; }, std::chrono::hours(1)));
        EXPECT_EQ(race.overwrites, kRounds);
        EXPECT_GT(race.copies, 0);
        EXPECT_EQ(race.refused, 0);  // about thirty without the second attempts
        machine.crash([&] {
            race.stack.objects.reset();
            race.stack.shards.reset();
            race.stack.router.reset();
            race.stack.group.reset();
        });
    }
}

}  // namespace
}  // namespace hamster::s3::ops
