// The keeper in a simulated world: one node leads, and the others are said to be there.
#include "cluster/layout_keeper.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "meta/testing.h"
#include "objects/shard_write.h"
#include "placement/profile.h"
#include "runtime/sim/simulator.h"

namespace hamster::cluster {
namespace {

using namespace meta::testing;
using runtime::Micros;
using runtime::Task;

const std::string kBucket = id16('b', 1);
const std::string kBlob1 = id16('x', 1);
const std::string kBlob2 = id16('y', 2);
constexpr std::uint64_t kLargeBody = objects::kSmallBlobBytes + 1;

NodeId n(std::uint64_t number) { return as_id<NodeId>(node_id(number)); }

struct Scene {
    explicit Scene(std::uint64_t seed) : sim(seed), machine(sim.machine("m")) {
        world = &machine.boot();
    }
    ~Scene() {
        machine.crash([this] {
            keeper.reset();
            group.reset();
        });
    }
    bool run(Task<void> task) { return sim.run_on(machine, std::move(task)); }
    [[nodiscard]] Facts facts() const {
        Facts facts;
        facts.leader = n(1);
        facts.members.voters.insert(n(1));
        for (std::uint64_t i = 1; i <= ready; ++i) {
            facts.nodes.push_back({n(i), "n" + std::to_string(i), "z", "host", true, true});
        }
        return facts;
    }
    [[nodiscard]] meta::View here() const { return group->here(); }
    [[nodiscard]] proto::Layout layout() const { return *here().layout(); }
    [[nodiscard]] bool has_places(std::uint64_t number) const {
        return read_layout(here(), nullptr)->places->held.contains(n(number));
    }
    [[nodiscard]] bool is_leaving(std::uint64_t number) const {
        return (*here().node(n(number)))->leaving();
    }

    runtime::sim::Simulator sim;
    runtime::sim::Machine& machine;
    runtime::World* world = nullptr;
    base::Metrics metrics;
    std::unique_ptr<meta::Replica> group;
    std::unique_ptr<LayoutKeeper> keeper;
    std::uint64_t ready = 0;  // nodes 1 to this one are there and have caught up
    std::uint64_t tokens = 0;
};

// What one leader has found out is no more.
Task<void> change_leader(Scene* scene) {
    if (scene->keeper) co_await scene->keeper->stop();
    scene->keeper = std::make_unique<LayoutKeeper>(scene->world, scene->group.get(),
                                                   [scene] { return scene->facts(); });
    scene->keeper->start();
}

Task<void> propose(Scene* scene, Command command) {
    auto answer = co_await scene->group->propose(std::move(command));
    EXPECT_TRUE(answer && answer->status() == Answer::OK);
}

Task<void> admit(Scene* scene, std::uint64_t number, std::uint64_t replaces = 0) {
    const std::uint64_t token = ++scene->tokens;
    co_await propose(scene, put_token(token, scene->group->stamp_now() + 3'600'000));
    proto::Node newcomer = node(number);
    newcomer.set_zone("");
    newcomer.set_capacity_bytes(1000);
    if (replaces != 0) newcomer.set_replaces(node_id(replaces));
    co_await propose(scene, admit_node(token, newcomer));
}

Task<void> open(Scene* scene, std::uint64_t nodes) {
    proto::ClusterInfo info;
    info.set_cluster_id(id16('C', 1));
    info.set_format(1);
    meta::GroupOptions options;
    options.wal_file_bytes = 1U << 20U;
    auto opened = co_await meta::open_group(scene->world, "meta", options, &info, &scene->metrics);
    EXPECT_TRUE(opened) << opened.error().context;
    scene->group = std::move(*opened);
    co_await propose(scene, found_trust());
    for (std::uint64_t i = 2; i <= nodes; ++i) co_await admit(scene, i);
    scene->ready = nodes;
    co_await propose(scene, create_bucket("photos", kBucket));
    co_await change_leader(scene);
}

Task<void> close(Scene* scene) {
    co_await scene->keeper->stop();
    co_await scene->group->stop();
}

constexpr int kMostWaits = 600;  // of 100 ms
Task<void> until(Scene* scene, const char* what, std::function<bool()> is_so) {
    for (int i = 0; i < kMostWaits && !is_so(); ++i) {
        co_await scene->world->clock.sleep(std::chrono::milliseconds(100));
    }
    EXPECT_TRUE(is_so()) << what;
}

// As reconcilers do in the end.
Task<void> settle(Scene* scene) {
    Command command;
    for (std::uint16_t partition = 0; partition < base::kPartitions; ++partition) {
        const auto places = *scene->here().places(partition);
        for (const auto& source : places.sources) {
            auto& settled = *command.mutable_settle_slots()->add_settled();
            settled.set_partition(partition);
            settled.set_slot(source.slot.value);
            settled.set_node(std::string(places.nodes[source.slot.value].view()));
            settled.set_version(places.version);
        }
    }
    co_await propose(scene, std::move(command));
    EXPECT_EQ(scene->layout().unsettled(), 0U);
}

Task<void> nodes_come_and_go(Scene* scene) {
    co_await open(scene, 3);
    co_await until(scene, "first layout", [scene] { return scene->layout().version() == 1; });
    EXPECT_EQ(scene->layout().k(), 2U);
    co_await settle(scene);
    co_await admit(scene, 4);
    co_await scene->world->clock.sleep(std::chrono::seconds(5));
    EXPECT_EQ(scene->layout().version(), 1U);  // it has not caught up
    scene->ready = 4;
    co_await until(scene, "4 has places", [scene] { return scene->has_places(4); });
    co_await settle(scene);
    auto drained = co_await scene->keeper->drain(n(4), false);
    EXPECT_TRUE(drained && !drained->must_ask());
    co_await until(scene, "4 has none", [scene] { return !scene->has_places(4); });
    co_await scene->world->clock.sleep(std::chrono::seconds(3));
    EXPECT_FALSE(scene->keeper->is_drained(n(4)));  // others fetch from it
    co_await settle(scene);
    co_await change_leader(scene);
    co_await until(scene, "4 is empty", [scene] { return scene->keeper->is_drained(n(4)); });
    EXPECT_EQ(scene->layout().version(), 3U);
    auto stays = co_await scene->keeper->undrain(n(4));
    EXPECT_TRUE(stays);
    co_await until(scene, "4 is back", [scene] { return scene->has_places(4); });
    EXPECT_FALSE(scene->keeper->is_drained(n(4)));
    co_await close(scene);
}
TEST(LayoutKeeper, NodesComeAndGo) {
    Scene scene(1);
    EXPECT_TRUE(scene.run(nodes_come_and_go(&scene)));
}

Task<void> across_a_boundary(Scene* scene) {
    co_await open(scene, 3);
    co_await until(scene, "first layout", [scene] { return scene->layout().version() == 1; });
    co_await settle(scene);
    const std::uint64_t now_ms = scene->group->stamp_now();
    co_await propose(scene, placed(put_object(kBucket, "k", kBlob1, kLargeBody, now_ms), 2, 1, 1));
    auto asked = co_await scene->keeper->drain(n(3), false);
    EXPECT_TRUE(asked && asked->must_ask() && asked->bytes == kLargeBody);
    EXPECT_FALSE(scene->is_leaving(3));
    auto agreed = co_await scene->keeper->drain(n(3), true);
    EXPECT_TRUE(agreed);
    co_await until(scene, "re-encoding", [scene] { return scene->layout().has_reencode(); });
    EXPECT_EQ(scene->layout().reencode().bytes_at_start(), kLargeBody);
    EXPECT_EQ(scene->layout().width(), 3U);
    auto stopped = co_await scene->keeper->stop_optimizing();
    EXPECT_FALSE(stopped);  // it is needed
    co_await change_leader(scene);
    Command anew = replace_blob(kBlob1, kBlob2, kLargeBody, scene->group->stamp_now());
    place(*anew.mutable_replace_blob()->mutable_by(), 1, 1, scene->layout().version());
    co_await propose(scene, std::move(anew));
    co_await scene->world->clock.sleep(std::chrono::seconds(10));
    EXPECT_EQ(scene->layout().width(), 3U);  // the garbage needs it
    EXPECT_TRUE(scene->layout().has_reencode());
    Command drop;
    drop.mutable_drop_garbage()->add_blob_ids(kBlob1);
    co_await propose(scene, std::move(drop));
    co_await until(scene, "the end", [scene] { return !scene->layout().has_reencode(); });
    EXPECT_EQ(scene->layout().width(), 2U);
    EXPECT_FALSE(scene->has_places(3));
    co_await close(scene);
}
TEST(LayoutKeeper, AcrossABoundary) {
    Scene scene(2);
    EXPECT_TRUE(scene.run(across_a_boundary(&scene)));
}

Task<void> optimizes(Scene* scene) {
    co_await open(scene, 2);
    co_await until(scene, "first layout", [scene] { return scene->layout().version() == 1; });
    const std::uint64_t now_ms = scene->group->stamp_now();
    co_await propose(scene, placed(put_object(kBucket, "k", kBlob1, kLargeBody, now_ms), 1, 1, 1));
    auto nothing = co_await scene->keeper->optimize();
    EXPECT_TRUE(nothing && !nothing->is_running && nothing->left.blobs == 0);
    co_await admit(scene, 3);
    scene->ready = 3;
    co_await until(scene, "2+1", [scene] { return scene->layout().k() == 2; });
    for (int times = 0; times < 2; ++times) {
        auto begun = co_await scene->keeper->optimize();
        EXPECT_TRUE(begun && begun->is_running && begun->bytes_at_start == kLargeBody);
    }
    co_await change_leader(scene);
    co_await scene->world->clock.sleep(std::chrono::seconds(10));
    EXPECT_TRUE(scene->layout().has_reencode());
    Command anew = replace_blob(kBlob1, kBlob2, kLargeBody, scene->group->stamp_now());
    place(*anew.mutable_replace_blob()->mutable_by(), 2, 1, scene->layout().version());
    co_await propose(scene, std::move(anew));
    co_await until(scene, "the end", [scene] { return !scene->layout().has_reencode(); });
    auto pinned = co_await scene->keeper->set_profile("1+1");
    EXPECT_TRUE(pinned);
    co_await until(scene, "1+1", [scene] { return scene->layout().k() == 1; });
    for (const char* wrong : {"9+1", "4+2"}) {
        auto refused = co_await scene->keeper->set_profile(wrong);
        EXPECT_FALSE(refused) << wrong;
    }
    co_await close(scene);
}
TEST(LayoutKeeper, OptimizesAndFollowsAPin) {
    Scene scene(3);
    EXPECT_TRUE(scene.run(optimizes(&scene)));
}

Task<void> replaces(Scene* scene) {
    co_await open(scene, 3);
    co_await until(scene, "first layout", [scene] { return scene->layout().version() == 1; });
    co_await settle(scene);
    co_await admit(scene, 4, 2);
    scene->ready = 4;
    co_await until(scene, "4 has places", [scene] { return scene->has_places(4); });
    EXPECT_TRUE(scene->is_leaving(2));
    EXPECT_FALSE(scene->has_places(2));
    auto kept = co_await scene->keeper->undrain(n(2));
    EXPECT_FALSE(kept);  // 4 takes its place
    co_await change_leader(scene);
    co_await settle(scene);
    co_await until(scene, "2 is gone", [scene] { return !(*scene->here().node(n(2))); });
    EXPECT_EQ(scene->layout().version(), 2U);
    co_await close(scene);
}
TEST(LayoutKeeper, AReplacedNodeGoes) {
    Scene scene(4);
    EXPECT_TRUE(scene.run(replaces(&scene)));
}

}  // namespace
}  // namespace hamster::cluster
