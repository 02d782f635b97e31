// The group in a simulated world: founding, restarts, crashes at every I/O boundary, full and
// failing disks.
#include <algorithm>

#include "meta/replica.h"
#include "meta/testing.h"
#include "runtime/sync.h"

namespace hamster::meta {
namespace {

using namespace testing;
using runtime::Task;
using runtime::sim::DiskFaults;
using runtime::sim::Machine;
using runtime::sim::Simulator;

GroupOptions tiny() {
    GroupOptions options;
    options.flush_after_bytes = 3000;  // flushes and drops happen all the time
    options.wal_file_bytes = 16 * base::kBlock;
    return options;
}

proto::ClusterInfo info() {
    proto::ClusterInfo out;
    out.set_cluster_id(id16('C', 1));
    out.set_format(1);
    return out;
}

// One machine and whatever runs on it.
struct Scene {
    explicit Scene(std::uint64_t seed) : sim(seed), machine(sim.machine("m")) {
        world = &machine.boot();
    }
    ~Scene() {
        if (machine.is_up()) crash();
    }
    void crash() {
        machine.crash([this] { group.reset(); });
    }
    void reboot() {
        if (machine.is_up()) crash();
        world = &machine.boot();
    }
    // Runs a task of the machine; false when it crashed under it.
    bool run(Task<void> task) { return sim.run_on(machine, std::move(task)); }

    Simulator sim;
    Machine& machine;
    runtime::World* world = nullptr;
    base::Metrics metrics;
    std::unique_ptr<Group> group;
    GroupOptions options = tiny();
    std::optional<Error> error;  // of the last open
};

Task<void> open(Scene* scene, const proto::ClusterInfo* found) {
    auto opened = co_await open_group(scene->world, "meta", scene->options, found, &scene->metrics);
    scene->error.reset();
    if (!opened) {
        scene->error = opened.error();
        co_return;
    }
    scene->group = std::move(*opened);
}

Task<void> stop(Scene* scene) {
    co_await scene->group->stop();
    scene->group.reset();
}

Task<void> propose(Scene* scene, Command command, Result<Answer>* out) {
    *out = co_await scene->group->propose(std::move(command));
}

Task<void> take_view(Scene* scene, std::optional<View>* out) {
    auto view = co_await scene->group->view();
    EXPECT_TRUE(view);
    if (view) *out = *view;
}

Answer propose_ok(Scene& scene, const Command& command) {
    Result<Answer> answer = Answer{};
    EXPECT_TRUE(scene.run(propose(&scene, command, &answer)));
    EXPECT_TRUE(answer) << answer.error().context;
    return answer ? *answer : Answer{};
}

std::optional<proto::Version> newest(Scene& scene, const std::string& key) {
    std::optional<View> view;
    EXPECT_TRUE(scene.run(take_view(&scene, &view)));
    return *view->newest(as_id<BucketId>(kBucket), key);
}

void open_ok(Scene& scene, const proto::ClusterInfo* found) {
    ASSERT_TRUE(scene.run(open(&scene, found)));
    ASSERT_FALSE(scene.error) << scene.error->context;
}

TEST(Group, IsFoundedOnceAndReopened) {
    Scene scene(1);
    ASSERT_TRUE(scene.run(open(&scene, nullptr)));
    ASSERT_TRUE(scene.error);
    EXPECT_EQ(scene.error->code, Code::kNotFound);
    EXPECT_EQ(scene.error->context.find("hamster init"), std::string::npos);
    const auto cluster = info();
    open_ok(scene, &cluster);
    EXPECT_EQ(propose_ok(scene, create_bucket("photos", kBucket)).status(), Answer::OK);
    EXPECT_EQ(propose_ok(scene, put_object(kBucket, "k", "", 0)).status(), Answer::OK);
    EXPECT_EQ(propose_ok(scene, create_bucket("photos", id16('b', 2))).status(),
              Answer::BUCKET_ALREADY_OWNED_BY_YOU);
    ASSERT_TRUE(scene.run(stop(&scene)));
    scene.reboot();
    const auto other = proto::ClusterInfo{};
    open_ok(scene, &other);  // founded already: nothing happens
    EXPECT_TRUE(newest(scene, "k"));
    std::optional<View> view;
    ASSERT_TRUE(scene.run(take_view(&scene, &view)));
    EXPECT_EQ(view->cluster()->cluster_id(), id16('C', 1));
    view.reset();
    ASSERT_TRUE(scene.run(stop(&scene)));
}

TEST(Group, RefusesAfterStop) {
    Scene scene(1);
    const auto cluster = info();
    open_ok(scene, &cluster);
    struct Body {
        static Task<void> run(Scene* scene, Result<Answer>* out) {
            co_await scene->group->stop();
            *out = co_await scene->group->propose(delete_bucket(kBucket));
            scene->group.reset();
        }
    };
    Result<Answer> answer = Answer{};
    ASSERT_TRUE(scene.run(Body::run(&scene, &answer)));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kUnavailable);
}

TEST(Group, ClusterTimeSurvivesAClockThatGoesBack) {
    Scene scene(1);
    const auto cluster = info();
    open_ok(scene, &cluster);
    propose_ok(scene, create_bucket("photos", kBucket));
    const auto first = propose_ok(scene, put_object(kBucket, "k", "", 0)).modified_ms();
    scene.machine.set_clock_offset_ms(-3'600'000);
    EXPECT_GE(propose_ok(scene, put_object(kBucket, "k", "", 0)).modified_ms(), first);
    scene.reboot();
    open_ok(scene, nullptr);
    EXPECT_GE(scene.group->stamp_now(), first);
    EXPECT_GE(propose_ok(scene, put_object(kBucket, "k", "", 0)).modified_ms(), first);
}

TEST(Group, TheSameRequestInFlightTwiceHappensOnce) {
    Scene scene(1);
    const auto cluster = info();
    open_ok(scene, &cluster);
    propose_ok(scene, create_bucket("photos", kBucket));
    Command command = put_object(kBucket, "k", id16('x', 1), 5);
    const auto salt = as_id<base::RequestId>(id16('r', 1));
    command.set_request_id(std::string(mint_request_id(scene.group->stamp_now(), salt).view()));
    command.mutable_put_object()->mutable_precondition()->set_if_none_match_any(true);
    command.mutable_put_object()->mutable_new_blobs(0)->set_sealed_ms(scene.group->stamp_now());
    struct Body {
        static Task<void> run(Scene* scene, Command command, std::vector<Result<Answer>>* out) {
            std::vector<Task<Result<Answer>>> both;
            both.push_back(scene->group->propose(command));
            both.push_back(scene->group->propose(command));
            *out = co_await runtime::when_all(std::move(both));
        }
    };
    std::vector<Result<Answer>> answers;
    ASSERT_TRUE(scene.run(Body::run(&scene, command, &answers)));
    EXPECT_EQ(answers[0]->status(), Answer::OK);
    EXPECT_EQ(answers[0]->SerializeAsString(), answers[1]->SerializeAsString());
}

TEST(Group, AStoreWithoutItsLogPrefixIsRefused) {
    Scene scene(1);
    const auto cluster = info();
    open_ok(scene, &cluster);
    propose_ok(scene, create_bucket("photos", kBucket));
    for (int i = 0; i < 400; ++i) {
        propose_ok(scene, put_object(kBucket, "k" + std::to_string(i), "", 0));
    }
    ASSERT_TRUE(scene.run(stop(&scene)));
    scene.reboot();
    scene.machine.remove_file("meta/store/content");
    ASSERT_TRUE(scene.run(open(&scene, nullptr)));
    ASSERT_TRUE(scene.error);
    EXPECT_EQ(scene.error->code, Code::kCorrupt) << scene.error->context;
}

const std::string kFirstLogFile = "meta/log/0000000000000001.wal";
const std::string kStoreFile = "meta/store/content";

TEST(Group, ALostLogIsRefusedAndNotReplacedByANewOne) {
    Scene scene(1);
    const auto cluster = info();
    open_ok(scene, &cluster);
    ASSERT_TRUE(scene.run(stop(&scene)));
    scene.reboot();
    ASSERT_TRUE(scene.machine.durable_content(kFirstLogFile));
    scene.machine.remove_file(kFirstLogFile);
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(scene.run(open(&scene, nullptr)));
        ASSERT_TRUE(scene.error);
        EXPECT_EQ(scene.error->code, Code::kCorrupt);
        EXPECT_NE(scene.error->context.find("meta/log/ is missing"), std::string::npos);
        EXPECT_EQ(scene.error->context.find("hamster init"), std::string::npos);
        EXPECT_FALSE(scene.machine.durable_content(kFirstLogFile));
    }
}

Task<void> write_store(Scene* scene, std::string content) {
    auto written =
        co_await runtime::write_file(&scene->world->disk, kStoreFile, std::move(content));
    EXPECT_TRUE(written);
}

TEST(Group, AStoreOfAnotherHistoryIsRefused) {
    const auto cluster = info();
    std::string stores[2];
    Scene scene(1);
    Scene other(2);
    Scene* const scenes[] = {&scene, &other};
    for (int i = 0; i < 2; ++i) {  // as many entries in both, of different content
        open_ok(*scenes[i], &cluster);
        propose_ok(*scenes[i], create_bucket("photos", kBucket));
        propose_ok(*scenes[i], put_object(kBucket, "k" + std::to_string(i), "", 0));
        ASSERT_TRUE(scenes[i]->run(stop(scenes[i])));
        scenes[i]->reboot();
        stores[i] = *scenes[i]->machine.durable_content(kStoreFile);
    }
    ASSERT_TRUE(scene.run(write_store(&scene, stores[1])));
    ASSERT_TRUE(scene.run(open(&scene, nullptr)));
    ASSERT_TRUE(scene.error) << "it opened with the store of another history";
    EXPECT_EQ(scene.error->code, Code::kCorrupt);
    EXPECT_NE(scene.error->context.find("different histories"), std::string::npos);
    ASSERT_TRUE(scene.run(write_store(&scene, stores[0])));
    open_ok(scene, nullptr);
    EXPECT_TRUE(newest(scene, "k0"));
}

TEST(Group, MetadataOfAnotherClusterIsRefusedUntouched) {
    for (const bool with_store : {true, false}) {
        SCOPED_TRACE(with_store);
        Scene scene(1);
        const auto cluster = info();
        open_ok(scene, &cluster);
        propose_ok(scene, create_bucket("photos", kBucket));
        ASSERT_TRUE(scene.run(stop(&scene)));
        scene.reboot();
        if (!with_store) scene.machine.remove_file(kStoreFile);  // the log says it as well
        const auto vote = scene.machine.durable_content("meta/vote");
        scene.options.cluster = as_id<base::ClusterId>(id16('D', 1));
        ASSERT_TRUE(scene.run(open(&scene, nullptr)));
        ASSERT_TRUE(scene.error);
        EXPECT_EQ(scene.error->code, Code::kInvalid) << scene.error->context;
        EXPECT_EQ(scene.machine.durable_content("meta/vote"), vote);
        EXPECT_EQ(scene.machine.durable_content(kStoreFile).has_value(), with_store);
        scene.options.cluster = as_id<base::ClusterId>(id16('C', 1));
        open_ok(scene, nullptr);
    }
}

TEST(Group, AFailedSyncStopsWritesUntilTheNextStart) {
    Scene scene(1);
    const auto cluster = info();
    open_ok(scene, &cluster);
    propose_ok(scene, create_bucket("photos", kBucket));
    propose_ok(scene, put_object(kBucket, "before", "", 0));
    DiskFaults faults;
    faults.sync_eio_ppm = 1'000'000;
    scene.machine.set_faults(faults);
    Result<Answer> answer = Answer{};
    ASSERT_TRUE(scene.run(propose(&scene, put_object(kBucket, "during", "", 0), &answer)));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kUnknownOutcome);
    EXPECT_FALSE(newest(scene, "during"));
    scene.machine.set_faults({});
    ASSERT_TRUE(scene.run(propose(&scene, put_object(kBucket, "after", "", 0), &answer)));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kIo);
    EXPECT_TRUE(newest(scene, "before"));  // reads go on
    scene.reboot();
    open_ok(scene, nullptr);
    EXPECT_TRUE(newest(scene, "before"));
    EXPECT_FALSE(newest(scene, "after"));
    EXPECT_EQ(propose_ok(scene, put_object(kBucket, "after", "", 0)).status(), Answer::OK);
}

TEST(Group, AFullDiskRefusesAndRecovers) {
    Scene scene(1);
    const auto cluster = info();
    open_ok(scene, &cluster);
    propose_ok(scene, create_bucket("photos", kBucket));
    DiskFaults faults;
    faults.capacity_bytes = scene.machine.allocated_bytes();
    scene.machine.set_faults(faults);
    Result<Answer> answer = Answer{};
    int stored = 0;
    for (; answer && stored < 5000; ++stored) {
        const auto key = "k" + std::to_string(stored);
        ASSERT_TRUE(scene.run(propose(&scene, put_object(kBucket, key, "", 0), &answer)));
    }
    ASSERT_FALSE(answer) << "the disk never filled";
    EXPECT_EQ(answer.error().code, Code::kNoSpace) << answer.error().context;
    --stored;
    EXPECT_TRUE(newest(scene, "k" + std::to_string(stored - 1)));
    EXPECT_FALSE(newest(scene, "k" + std::to_string(stored)));
    scene.machine.set_faults({});
    EXPECT_EQ(propose_ok(scene, put_object(kBucket, "later", "", 0)).status(), Answer::OK);
    scene.reboot();
    open_ok(scene, nullptr);
    EXPECT_TRUE(newest(scene, "k" + std::to_string(stored - 1)));
    EXPECT_FALSE(newest(scene, "k" + std::to_string(stored)));
    EXPECT_TRUE(newest(scene, "later"));
}

// Clients that each own a key and count up in it: what is stored is the last acknowledged count or
// the one that was under way.
struct Counting {
    static constexpr int kClients = 4;
    int acknowledged[kClients] = {};
    int proposed[kClients] = {};
};

Task<void> count_up(Scene* scene, Counting* counting, int client, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        const int next = counting->proposed[client] + 1;
        counting->proposed[client] = next;
        Command command = put_object(kBucket, "client" + std::to_string(client), id16('x', 0), 1);
        auto& body = *command.mutable_put_object();
        const std::string blob =
            id16(static_cast<char>('A' + client), static_cast<std::uint64_t>(next));
        body.mutable_new_blobs(0)->set_blob_id(blob);
        body.mutable_new_blobs(0)->set_sealed_ms(scene->group->stamp_now());
        body.mutable_version()->mutable_parts(0)->set_blob_id(blob);
        body.mutable_version()->set_etag(std::to_string(next));
        auto answer = co_await scene->group->propose(std::move(command));
        EXPECT_TRUE(answer) << answer.error().context;
        if (!answer) co_return;
        EXPECT_EQ(answer->status(), Answer::OK) << answer->detail();
        counting->acknowledged[client] = next;
    }
}

Task<void> life(Scene* scene, Counting* counting, const proto::ClusterInfo* found, int rounds) {
    co_await open(scene, found);
    EXPECT_FALSE(scene->error) << scene->error->context;
    if (scene->error) co_return;
    auto made = co_await scene->group->propose(create_bucket("photos", kBucket));
    EXPECT_TRUE(made);
    runtime::Gate gate;
    for (int client = 0; client < Counting::kClients; ++client) {
        runtime::spawn(scene->world->executor, gate, "client",
                       count_up(scene, counting, client, rounds));
    }
    co_await gate.close();
    co_await scene->group->stop();
}

void check(Scene& scene, Counting& counting) {
    std::optional<View> view;
    ASSERT_TRUE(scene.run(take_view(&scene, &view)));
    for (int client = 0; client < Counting::kClients; ++client) {
        const auto version =
            *view->newest(as_id<BucketId>(kBucket), "client" + std::to_string(client));
        const int stored = version ? std::stoi(version->etag()) : 0;
        ASSERT_GE(stored, counting.acknowledged[client]);
        ASSERT_LE(stored, counting.proposed[client]);
        counting.acknowledged[client] = stored;
    }
    const auto bucket = *view->bucket("photos");
    if (!bucket) return;
    const auto counters = *view->counters(as_id<BucketId>(kBucket));
    const auto listed = *view->list_current(as_id<BucketId>(kBucket), {});
    ASSERT_EQ(counters.objects(), listed.entries.size());
    ASSERT_EQ(counters.bytes(), listed.entries.size());
}

TEST(GroupCrash, AtEveryBoundaryNothingAcknowledgedIsLost) {
    const auto cluster = info();
    std::uint64_t boundary = 0;
    for (bool finished = false; !finished; ++boundary) {
        Scene scene(boundary + 1);
        Counting counting;
        scene.machine.crash_at_io(boundary + 1, [&] { scene.crash(); });
        finished = scene.run(life(&scene, &counting, &cluster, 12));
        scene.machine.disarm_crash();
        scene.reboot();
        ASSERT_TRUE(scene.run(open(&scene, &cluster)));
        ASSERT_FALSE(scene.error) << scene.error->context << " boundary " << boundary;
        ASSERT_NO_FATAL_FAILURE(check(scene, counting)) << "boundary " << boundary;
    }
    EXPECT_GT(boundary, 40U);
}

TEST(GroupCrash, AgainAndAgain) {
    const auto cluster = info();
    for (std::uint64_t seed = 1; seed <= 25; ++seed) {
        Scene scene(seed);
        Counting counting;
        for (int incarnation = 0; incarnation < 8; ++incarnation) {
            scene.machine.crash_at_io(1 + scene.sim.random().below(150), [&] { scene.crash(); });
            (void)scene.run(life(&scene, &counting, &cluster, 60));
            scene.machine.disarm_crash();
            scene.reboot();
            ASSERT_TRUE(scene.run(open(&scene, &cluster)));
            ASSERT_FALSE(scene.error) << scene.error->context << " seed " << seed;
            ASSERT_NO_FATAL_FAILURE(check(scene, counting)) << "seed " << seed;
            scene.reboot();
        }
    }
}

}  // namespace
}  // namespace hamster::meta
