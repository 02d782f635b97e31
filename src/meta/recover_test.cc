// The last resort in a simulated world: all of it happens or nothing, wherever the power goes.
#include "meta/recover.h"

#include "meta/replica.h"
#include "meta/testing.h"
#include "raft/log.h"

namespace hamster::meta {
namespace {

using namespace testing;
using runtime::Task;
using runtime::sim::Machine;
using runtime::sim::Simulator;

base::NodeId id_of(std::uint64_t number) { return as_id<base::NodeId>(node_id(number)); }

// n1, which voted with n2 and n3 and is not running.
struct Scene {
    explicit Scene(std::uint64_t seed) : sim(seed), machine(sim.machine("m")) {
        world = &machine.boot();
        options.self = id_of(1);
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
    bool run(Task<void> task) { return sim.run_on(machine, std::move(task)); }

    Simulator sim;
    Machine& machine;
    runtime::World* world = nullptr;
    base::Metrics metrics;
    GroupOptions options;
    std::unique_ptr<meta::Replica> group;
    Standing standing;
    std::optional<Error> error;  // of the last task
};

Task<void> open(Scene* scene, const proto::ClusterInfo* found) {
    auto opened = co_await open_group(scene->world, "meta", scene->options, found, &scene->metrics);
    if (opened) {
        scene->group = std::move(*opened);
    } else {
        scene->error = opened.error();
    }
}

Task<void> propose(Scene* scene, Command command) {
    auto answer = co_await scene->group->propose(std::move(command));
    EXPECT_TRUE(answer) << answer.error().context;
    if (answer) EXPECT_EQ(answer->status(), Answer::OK) << answer->detail();
}

// What a leader would have sent: n1 to n3 vote from here on.
Task<void> append_voters(Scene* scene) {
    auto opened = co_await raft::Log::open(scene->world, "meta", {}, &scene->metrics);
    EXPECT_TRUE(opened) << opened.error().context;
    if (!opened) co_return;
    raft::Log* const log = opened->get();
    auto term = co_await log->begin_term(id_of(1));
    EXPECT_TRUE(term);
    const raft::Members three{{id_of(1), id_of(2), id_of(3)}, {}};
    auto appended = co_await log->append(proto::Entry::CONFIGURATION,
                                         raft::to_proto(three).SerializeAsString());
    EXPECT_TRUE(appended);
    co_await log->stop();
}

Task<void> prepare(Scene* scene) {
    proto::ClusterInfo info;
    info.set_cluster_id(id16('C', 1));
    info.set_format(1);
    co_await open(scene, &info);
    EXPECT_FALSE(scene->error) << scene->error->context;
    if (scene->error) co_return;
    co_await propose(scene, found_trust());
    const std::uint64_t expires_ms = scene->group->stamp_now() + 86'400'000;
    for (std::uint64_t number = 2; number <= 4; ++number) {
        co_await propose(scene, put_token(number, expires_ms));
        co_await propose(scene, admit_node(number, node(number)));
    }
    // What lies on a lost node does not keep it.
    co_await propose(scene, create_bucket("photos", id16('b', 1)));
    Command stored = on_node(put_object(id16('b', 1), "k", id16('x', 1), 5), 2);
    stored.mutable_put_object()->mutable_new_blobs(0)->set_sealed_ms(scene->group->stamp_now());
    co_await propose(scene, std::move(stored));
    co_await scene->group->stop();
    scene->group.reset();
    co_await append_voters(scene);
}

Task<void> inspect(Scene* scene) {
    auto standing = co_await inspect_group(scene->world, "meta", scene->options, &scene->metrics);
    EXPECT_TRUE(standing) << standing.error().context;
    if (standing) scene->standing = std::move(*standing);
}

Task<void> recover(Scene* scene) {
    std::set<base::NodeId> lost{id_of(2), id_of(3)};
    auto done = co_await become_lone_voter(scene->world, "meta", scene->options, std::move(lost),
                                           &scene->metrics);
    scene->error.reset();
    if (!done) scene->error = done.error();
}

void expect_recovered(Scene& scene, std::uint64_t boundary) {
    const std::string where = "boundary " + std::to_string(boundary);
    ASSERT_TRUE(scene.run(open(&scene, nullptr)));
    ASSERT_FALSE(scene.error) << scene.error->context << " " << where;
    EXPECT_TRUE(scene.group->driver().is_alone()) << where;
    const View view = scene.group->here();
    EXPECT_TRUE(*view.node(id_of(1))) << where;
    EXPECT_TRUE(*view.node(id_of(4))) << where;  // a learner is not lost
    EXPECT_FALSE(*view.node(id_of(2))) << where;
    EXPECT_FALSE(*view.node(id_of(3))) << where;
    EXPECT_EQ(view.removed_nodes()->size(), 2U) << where;
    EXPECT_TRUE(*view.newest(as_id<BucketId>(id16('b', 1)), "k")) << where;
}

TEST(Recover, IsWholeOrNothingAtEveryBoundary) {
    std::size_t undone = 0;
    std::uint64_t boundary = 1;
    for (bool finished = false; !finished; ++boundary) {
        Scene scene(boundary);
        ASSERT_TRUE(scene.run(prepare(&scene)));
        scene.reboot();
        scene.machine.crash_at_io(boundary, [&] { scene.crash(); });
        finished = scene.run(recover(&scene));
        scene.machine.disarm_crash();
        scene.reboot();
        ASSERT_TRUE(scene.run(inspect(&scene)));
        const std::size_t voters = scene.standing.members.voters.size();
        ASSERT_TRUE(voters == 1 || (voters == 3 && !finished)) << "boundary " << boundary;
        // Nobody votes alone and has them as members still, and nobody lost is out and votes.
        for (const std::uint64_t number : {2U, 3U}) {
            ASSERT_EQ(scene.standing.nodes.contains(id_of(number)), voters == 3)
                << "boundary " << boundary;
        }
        if (voters == 3) {  // then it is done again
            ++undone;
            ASSERT_TRUE(scene.run(recover(&scene)));
            ASSERT_FALSE(scene.error) << scene.error->context;
        }
        ASSERT_NO_FATAL_FAILURE(expect_recovered(scene, boundary));
    }
    EXPECT_GT(undone, 2U);
    EXPECT_GT(boundary, undone + 2);
}

TEST(Recover, IsForVotersOnly) {
    Scene scene(1);
    ASSERT_TRUE(scene.run(prepare(&scene)));
    scene.reboot();
    scene.options.self = id_of(4);
    ASSERT_TRUE(scene.run(recover(&scene)));
    ASSERT_TRUE(scene.error);
    EXPECT_EQ(scene.error->code, Code::kInvalid);
    scene.options.self = id_of(1);
    ASSERT_TRUE(scene.run(inspect(&scene)));
    EXPECT_EQ(scene.standing.members.voters.size(), 3U);
    EXPECT_EQ(scene.standing.nodes.size(), 4U);
}

}  // namespace
}  // namespace hamster::meta
