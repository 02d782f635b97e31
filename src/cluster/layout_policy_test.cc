#include "cluster/layout_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "base/encoding.h"
#include "placement/layout.h"
#include "placement/movement.h"
#include "runtime/prng.h"

namespace hamster::cluster {
namespace {

using placement::Table;
using Numbers = std::vector<std::uint64_t>;

constexpr std::uint64_t kDisk = 1'000'000'000'000;  // bytes

NodeId id(std::uint64_t number) {
    std::string bytes(8, 'N');
    base::put_be64(bytes, number);
    return *NodeId::from_bytes(bytes);
}
std::uint64_t number_of(const NodeId& node) { return base::get_be64(node.raw.data() + 8); }

LayoutNode node(std::uint64_t number) {
    LayoutNode made;
    made.id = id(number);
    made.name = "n" + std::to_string(number);
    made.host = "host-" + made.name;
    made.capacity_bytes = kDisk;
    made.ready = true;
    return made;
}

// What the metadata and the nodes do with the steps: blobs of geometries, sources of moved places.
struct Scene {
    LayoutFacts facts;
    std::map<std::uint64_t, std::set<NodeId>> sources_at;  // by place: partition, slot
    std::vector<Profile> blobs;                            // one of each geometry that exists, live

    explicit Scene(std::uint64_t count) {
        for (std::uint64_t number = 1; number <= count; ++number) {
            facts.nodes.push_back(node(number));
        }
        facts.table = Table::of_width(1);
        std::ranges::fill(facts.table.nodes, id(1));
        facts.nodes.front().votes = true;
    }

    LayoutNode& at(std::uint64_t number) {
        return *std::ranges::find(facts.nodes, id(number), &LayoutNode::id);
    }
    [[nodiscard]] bool has(std::uint64_t number) const {
        return std::ranges::find(facts.nodes, id(number), &LayoutNode::id) != facts.nodes.end();
    }
    void lose(std::uint64_t number) {
        std::erase_if(facts.nodes, [&](const LayoutNode& it) { return it.id == id(number); });
    }
    void write() {
        if (std::ranges::find(blobs, facts.profile) == blobs.end()) blobs.push_back(facts.profile);
        note_blobs();
    }
    void note_blobs() {
        facts.widest = 1;
        for (const Profile blob : blobs) facts.widest = std::max(facts.widest, blob.width());
    }
    void note_sources() {
        facts.is_settled = sources_at.empty();
        facts.sources.clear();
        for (const auto& [place, nodes] : sources_at) {
            for (const LayoutNode& it : facts.nodes) {
                if (it.leaving && nodes.contains(it.id)) facts.sources.insert(it.id);
            }
        }
    }
    void settle() {
        sources_at.clear();
        note_sources();
    }
    // Everything that goes on by itself has come to its end.
    void settle_and_reencode() {
        settle();
        if (facts.reencode == facts.profile) {
            blobs = blobs.empty() ? blobs : std::vector{*facts.reencode};
            facts.is_reencoded = true;
        }
        for (LayoutNode& it : facts.nodes) it.holds_blobs = false;
        note_blobs();
    }

    [[nodiscard]] std::set<std::uint64_t> placed() const {
        std::set<std::uint64_t> out;
        for (const NodeId& it : facts.table.nodes) out.insert(number_of(it));
        return out;
    }

    void put_table(const PutTable& step);
    void perform(const LayoutStep& step);
    std::string course(int most = 60);
};

// What apply would refuse is a failure.
void Scene::put_table(const PutTable& step) {
    ASSERT_FALSE(placement::flaw_of(step.table)) << *placement::flaw_of(step.table);
    ASSERT_LE(step.profile.width(), step.table.width);
    ASSERT_GE(step.table.width, facts.widest) << "blobs lose their slots";
    const std::uint32_t kept = std::min(step.table.width, facts.table.width);
    for (std::uint16_t partition = 0; partition < placement::kPartitions; ++partition) {
        for (std::uint8_t slot = 0; slot < step.table.width; ++slot) {
            const NodeId& holder = step.table.at({partition, slot});
            const bool stays = slot < kept && facts.table.at({partition, slot}) == holder;
            ASSERT_TRUE(stays || has(number_of(holder))) << "no member: " << holder.hex();
        }
    }
    const bool changes = step.table != facts.table || step.profile != facts.profile;
    ASSERT_TRUE(changes || facts.version == 0) << step.why;
    for (std::uint16_t partition = 0; partition < placement::kPartitions; ++partition) {
        for (std::uint8_t slot = 0; slot < kept; ++slot) {
            const NodeId& was = facts.table.at({partition, slot});
            if (was != step.table.at({partition, slot})) {
                sources_at[std::uint64_t{partition} * placement::kMaxWidth + slot].insert(was);
            }
        }
    }
    std::erase_if(sources_at, [&step](const auto& entry) {
        return entry.first % placement::kMaxWidth >= step.table.width;
    });
    facts.table = step.table;
    facts.profile = step.profile;
    ++facts.version;
    note_sources();
}

void Scene::perform(const LayoutStep& step) {
    if (const auto* put = std::get_if<PutTable>(&step)) put_table(*put);
    if (const auto* leave = std::get_if<BeginLeaving>(&step)) {
        LayoutNode& leaving = at(number_of(leave->node));
        ASSERT_FALSE(leaving.leaving);
        leaving.leaving = true;
        leaving.votes = false;  // the voter policy sees to it
        note_sources();
    }
    if (const auto* start = std::get_if<StartReencode>(&step)) {
        ASSERT_LE(start->profile.width(), facts.table.width);
        facts.reencode = start->profile;
        facts.is_reencoded = false;
    }
    if (std::holds_alternative<StopReencode>(step)) {
        ASSERT_TRUE(facts.reencode && facts.is_reencoded);
        facts.reencode.reset();
        facts.is_reencoded = false;
    }
    if (const auto* dismiss = std::get_if<Dismiss>(&step)) {
        const std::uint64_t number = number_of(dismiss->node);
        ASSERT_TRUE(at(number).leaving && !at(number).votes && !at(number).holds_blobs);
        ASSERT_FALSE(placed().contains(number));
        for (const auto& [place, nodes] : sources_at) ASSERT_FALSE(nodes.contains(dismiss->node));
        lose(number);
    }
}

std::string words(const LayoutStep& step) {
    if (const auto* put = std::get_if<PutTable>(&step)) {
        return placement::to_string(put->profile) + "/" + std::to_string(put->table.width);
    }
    if (const auto* leave = std::get_if<BeginLeaving>(&step)) {
        return "v" + std::to_string(number_of(leave->node));
    }
    if (const auto* start = std::get_if<StartReencode>(&step)) {
        return "*" + placement::to_string(start->profile);
    }
    if (std::holds_alternative<StopReencode>(step)) return ".";
    return "-" + std::to_string(number_of(std::get<Dismiss>(step).node));
}

// All steps in words, with what goes on by itself done after each: profile/width of a table, "v2"
// node 2 is leaving, "*2+1" re-encoding to 2+1, "." it ends, "-2" node 2 is dismissed.
std::string Scene::course(int most) {
    std::string out;
    bool did_wait = false;
    for (int i = 0; i < most; ++i) {
        const LayoutStep step = next_layout_step(facts);
        if (std::holds_alternative<std::monostate>(step)) {
            if (did_wait) return out;
            settle_and_reencode();
            did_wait = true;
            continue;
        }
        did_wait = false;
        out += (out.empty() ? "" : " ") + words(step);
        perform(step);
        if (testing::Test::HasFatalFailure()) return out + " failed";
    }
    return out + " and so on";
}

// A cluster of so many nodes with objects of its profile, and nothing left to do.
Scene grown(std::uint64_t count) {
    Scene scene(count);
    (void)scene.course();
    scene.settle();
    scene.write();
    return scene;
}

TEST(LayoutPolicy, ALoneFounderNeedsNoLayout) {
    Scene scene(1);
    EXPECT_EQ(scene.course(), "");
    scene.facts.pinned = Profile{1, 0};
    EXPECT_EQ(scene.course(), "1+0/1");
}

// One that left before there was a layout took bodies in: they follow none, and it stays for ever.
TEST(LayoutPolicy, BodiesOfALeavingNodeNeedALayout) {
    Scene scene(2);
    scene.at(2).leaving = true;
    EXPECT_EQ(scene.course(), "");
    scene.at(2).holds_blobs = true;
    EXPECT_NE(scene.course(), "");
    EXPECT_EQ(scene.facts.version, 1U);
    EXPECT_EQ(scene.placed(), (std::set<std::uint64_t>{1}));
}

TEST(LayoutPolicy, TheLadderIsClimbedAsNodesCome) {
    Scene scene(1);
    std::string all;
    for (std::uint64_t number = 2; number <= 7; ++number) {
        scene.facts.nodes.push_back(node(number));
        all += scene.course() + ", ";
        EXPECT_EQ(scene.placed().size(), number);
    }
    EXPECT_EQ(all, "1+1/2, 2+1/3, 2+1/3, 3+2/5, 4+2/6, 4+2/6, ");
}

TEST(LayoutPolicy, OnlyWhoIsReadyGetsItsFirstPlaces) {
    Scene scene(2);
    scene.at(2).ready = false;
    EXPECT_EQ(scene.course(), "");
    scene.at(2).ready = true;
    EXPECT_EQ(scene.course(), "1+1/2");
    scene.at(2).ready = false;  // from now on it stays, whatever becomes of it
    EXPECT_EQ(scene.course(), "");
}

TEST(LayoutPolicy, NarrowBlobsKeepTheirSlotsWhenTheClusterGrows) {
    Scene scene = grown(3);
    for (const std::uint64_t number : {4U, 5U, 6U}) scene.facts.nodes.push_back(node(number));
    EXPECT_EQ(scene.course(), "4+2/6");
    // The new nodes share in what is there: slots 0 to 2 are theirs as often as anybody's.
    std::map<NodeId, int> in_low_slots;
    for (std::uint16_t partition = 0; partition < placement::kPartitions; ++partition) {
        for (std::uint8_t slot = 0; slot < 3; ++slot) {
            ++in_low_slots[scene.facts.table.at({partition, slot})];
        }
    }
    ASSERT_EQ(in_low_slots.size(), 6U);
    for (const auto& [holder, count] : in_low_slots) {
        EXPECT_NEAR(count, 2048, 2048 / 10) << holder.hex();
    }
}

TEST(LayoutPolicy, AnotherNodeMovesItsShareAndNothingElse) {
    Scene scene = grown(6);
    const Table before = scene.facts.table;
    scene.facts.nodes.push_back(node(7));
    EXPECT_EQ(scene.course(), "4+2/6");
    const auto moved = placement::movement(before, scene.facts.table);
    EXPECT_NEAR(moved.places, placement::kPartitions * 6 / 7, 10);
}

TEST(LayoutPolicy, ADrainedNodeGivesItsPlacesAway) {
    Scene scene = grown(7);
    scene.at(3).leaving = true;
    EXPECT_EQ(scene.course(), "4+2/6");
    EXPECT_FALSE(scene.placed().contains(3));
    EXPECT_TRUE(scene.has(3));  // it is people who remove it
    scene.at(3).leaving = false;
    EXPECT_EQ(scene.course(), "4+2/6");
    EXPECT_TRUE(scene.placed().contains(3));
}

TEST(LayoutPolicy, ADeadNodeIsDrainedLikeAnyOther) {
    Scene scene = grown(7);
    scene.at(3).ready = false;
    EXPECT_EQ(scene.course(), "");
    scene.at(3).leaving = true;
    EXPECT_EQ(scene.course(), "4+2/6");
}

TEST(LayoutPolicy, AcrossABoundaryObjectsAreReencodedBeforePlacesGo) {
    Scene scene = grown(6);
    scene.at(2).leaving = true;
    const LayoutStep first = next_layout_step(scene.facts);
    ASSERT_EQ(words(first), "3+2/6");
    EXPECT_EQ(std::get<PutTable>(first).table, scene.facts.table);  // nothing moves yet
    scene.perform(first);
    const LayoutStep second = next_layout_step(scene.facts);
    ASSERT_EQ(words(second), "*3+2");
    scene.perform(second);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(next_layout_step(scene.facts)));
}

TEST(LayoutPolicy, AcrossABoundaryToItsEnd) {
    Scene scene = grown(6);
    scene.at(2).leaving = true;
    EXPECT_EQ(scene.course(), "3+2/6 *3+2 3+2/5 .");
    EXPECT_FALSE(scene.placed().contains(2));
    scene = grown(6);
    for (const std::uint64_t number : {2U, 3U, 4U, 5U}) scene.at(number).leaving = true;
    EXPECT_EQ(scene.course(), "1+1/6 *1+1 1+1/2 .");
    EXPECT_EQ(scene.placed(), (std::set<std::uint64_t>{1, 6}));
}

TEST(LayoutPolicy, WithoutWideBlobsABoundaryIsNone) {
    Scene scene(6);
    (void)scene.course();
    scene.at(2).leaving = true;
    EXPECT_EQ(scene.course(), "3+2/5");
}

TEST(LayoutPolicy, UndrainedInTheMiddle) {
    Scene scene = grown(6);
    scene.at(2).leaving = true;
    scene.perform(next_layout_step(scene.facts));
    scene.perform(next_layout_step(scene.facts));
    scene.at(2).leaving = false;
    EXPECT_EQ(scene.course(), "4+2/6 *4+2 .");
}

TEST(LayoutPolicy, APinHoldsAsLongAsItFits) {
    Scene scene = grown(6);
    scene.facts.pinned = Profile{2, 1};
    EXPECT_EQ(scene.course(), "2+1/6");  // wide blobs are there: the width stays
    scene.facts.pinned.reset();
    EXPECT_EQ(scene.course(), "4+2/6");
    scene = grown(3);
    scene.facts.pinned = Profile{4, 2};
    EXPECT_EQ(scene.course(), "");
}

TEST(LayoutPolicy, ReencodingIsNeverBegunToGrow) {
    Scene scene = grown(3);
    for (const std::uint64_t number : {4U, 5U, 6U}) scene.facts.nodes.push_back(node(number));
    EXPECT_EQ(scene.course(), "4+2/6");
    scene.facts.reencode = scene.facts.profile;
    EXPECT_EQ(scene.course(), ".");
    // Under way when the profile changes: it follows.
    scene.facts.reencode = Profile{3, 2};
    EXPECT_EQ(words(next_layout_step(scene.facts)), "*4+2");
}

TEST(LayoutPolicy, AReplacedNodeLeavesByItself) {
    for (const bool is_dead : {false, true}) {
        Scene scene = grown(3);
        const Table before = scene.facts.table;
        scene.at(2).ready = !is_dead;
        scene.facts.nodes.push_back(node(4));
        scene.at(4).replaces = id(2);
        scene.at(4).ready = false;
        EXPECT_EQ(scene.course(), "");
        scene.at(4).ready = true;
        EXPECT_EQ(scene.course(), "v2 2+1/3 -2");
        EXPECT_EQ(*placement::replace(before, id(2), id(4)), scene.facts.table);
        EXPECT_EQ(scene.course(), "");
    }
}

// Nothing becomes narrower for a node that only its successor's absence keeps.
TEST(LayoutPolicy, ASuccessorThatIsAwayIsWaitedFor) {
    Scene scene = grown(3);
    scene.write();
    const Table before = scene.facts.table;
    scene.facts.nodes.push_back(node(4));
    scene.at(4).replaces = id(2);
    scene.perform(next_layout_step(scene.facts));
    ASSERT_TRUE(scene.at(2).leaving);
    scene.at(4).ready = false;
    EXPECT_EQ(scene.course(), "");
    EXPECT_THAT(layout_hindrance(scene.facts), testing::HasSubstr("start it, or remove it"));
    scene.at(4).ready = true;
    EXPECT_EQ(scene.course(), "2+1/3 -2");
    EXPECT_EQ(*placement::replace(before, id(2), id(4)), scene.facts.table);
}

TEST(LayoutPolicy, AReplacedNodeStaysWhileSomethingLiesOnIt) {
    Scene scene = grown(3);
    scene.facts.nodes.push_back(node(4));
    scene.at(4).replaces = id(2);
    scene.at(2).votes = true;
    for (int i = 0; i < 2; ++i) scene.perform(next_layout_step(scene.facts));
    ASSERT_TRUE(scene.facts.sources.contains(id(2)));
    EXPECT_TRUE(std::holds_alternative<std::monostate>(next_layout_step(scene.facts)));
    scene.settle();
    scene.at(2).holds_blobs = true;
    EXPECT_TRUE(std::holds_alternative<std::monostate>(next_layout_step(scene.facts)));
    scene.at(2).holds_blobs = false;
    scene.at(2).votes = true;
    EXPECT_TRUE(std::holds_alternative<std::monostate>(next_layout_step(scene.facts)));
    scene.at(2).votes = false;
    EXPECT_EQ(words(next_layout_step(scene.facts)), "-2");
}

TEST(LayoutPolicy, SmallDifferencesOfCapacityMoveNothing) {
    Scene scene = grown(7);
    scene.at(1).capacity_bytes = kDisk * 103 / 100;
    scene.at(2).capacity_bytes = kDisk * 97 / 100;
    EXPECT_EQ(scene.course(), "");
    scene.at(1).capacity_bytes = kDisk / 2;
    EXPECT_EQ(scene.course(), "4+2/6");
    EXPECT_EQ(scene.course(), "");
}

TEST(LayoutPolicy, ABetterBalanceWaitsUntilSlotsHaveSettled) {
    Scene scene = grown(7);
    scene.at(1).capacity_bytes = kDisk / 2;
    scene.facts.is_settled = false;
    EXPECT_TRUE(std::holds_alternative<std::monostate>(next_layout_step(scene.facts)));
    scene.at(3).leaving = true;  // this does not
    EXPECT_EQ(words(next_layout_step(scene.facts)), "4+2/6");
}

TEST(LayoutPolicy, NodesThatAreOfOneZoneAfterAllAreSpread) {
    Scene scene(4);
    scene.facts.pinned = Profile{1, 1};
    EXPECT_EQ(scene.course(), "1+1/2");
    scene.at(1).zone = scene.at(2).zone = "a";  // the loads are even all the same
    scene.at(3).zone = scene.at(4).zone = "b";
    EXPECT_EQ(scene.course(), "1+1/2");
    EXPECT_EQ(scene.course(), "");
}

TEST(LayoutPolicy, PlacesOfLostNodesWaitForNewOnes) {
    Scene scene = grown(3);
    scene.lose(2);
    scene.lose(3);
    EXPECT_EQ(scene.course(), "1+0/3") << "it can write, and nothing is re-encoded";
    EXPECT_EQ(scene.placed(), (std::set<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(
        layout_hindrance(scene.facts),
        "objects need 3 nodes and there are 1: add nodes, or let `hamster optimize` store anew "
        "those that can be read");
    scene.facts.nodes.push_back(node(4));
    EXPECT_EQ(scene.course(), "");
    scene.facts.nodes.push_back(node(5));
    EXPECT_EQ(scene.course(), "2+1/3");
    EXPECT_EQ(scene.placed(), (std::set<std::uint64_t>{1, 4, 5}));
    EXPECT_EQ(layout_hindrance(scene.facts), "");
}

TEST(LayoutPolicy, WhoIsLeftWritesWithThePlacesItHas) {
    Scene scene = grown(6);
    for (const std::uint64_t lost : {1U, 3U, 4U, 6U}) scene.lose(lost);
    scene.facts.nodes.push_back(node(7));  // has none yet
    EXPECT_EQ(scene.course(), "1+1/6");
    for (const std::uint64_t come : {8U, 9U, 10U}) scene.facts.nodes.push_back(node(come));
    EXPECT_EQ(scene.course(), "4+2/6");
    EXPECT_EQ(scene.placed(), (std::set<std::uint64_t>{2, 5, 7, 8, 9, 10}));
}

// Random clusters, in which anything happens at any time.

bool maybe(runtime::Prng& random, std::uint64_t one_in) { return random.below(one_in) == 0; }

void happen(Scene& scene, runtime::Prng& random, std::uint64_t* next_number) {
    LayoutNode& some = scene.facts.nodes[random.below(scene.facts.nodes.size())];
    const std::uint64_t number = number_of(some.id);
    switch (random.below(9)) {
        case 0: {
            LayoutNode made = node((*next_number)++);
            if (maybe(random, 3)) made.zone = std::string(1, static_cast<char>('a' + number % 3));
            if (maybe(random, 4)) made.capacity_bytes = kDisk * (1 + random.below(4));
            if (maybe(random, 3)) made.replaces = id(number);
            if (scene.facts.nodes.size() < 9) scene.facts.nodes.push_back(made);
            break;
        }
        case 1:
            some.ready = !some.ready;
            break;
        case 2:
            some.leaving = !some.leaving;
            scene.note_sources();
            break;
        case 3:
            scene.write();
            break;
        case 4:
            scene.settle();
            break;
        case 5:
            scene.settle_and_reencode();
            break;
        case 6:
            if (scene.facts.version > 0) scene.facts.reencode = scene.facts.profile;
            break;
        case 7:
            some.capacity_bytes = kDisk * (1 + random.below(4));
            break;
        default:
            scene.facts.pinned.reset();
            if (maybe(random, 2)) scene.facts.pinned = Profile{2, 1};
            break;
    }
}

// LAYOUT_SEEDS makes it fewer, where each costs a lot, or a campaign.
std::uint64_t campaign_seeds() {
    const char* text = std::getenv("LAYOUT_SEEDS");  // NOLINT(concurrency-mt-unsafe)
    return text == nullptr ? 60 : std::strtoull(text, nullptr, 10);
}

TEST(LayoutPolicyProperty, EveryStepIsOneThatApplyTakesAndThereIsAnEnd) {
    std::uint64_t ended = 0;
    const std::uint64_t seeds = campaign_seeds();
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        runtime::Prng random(seed);
        Scene scene(1 + random.below(7));
        std::uint64_t next_number = 20;
        for (int i = 0; i < 40; ++i) {
            happen(scene, random, &next_number);
            const LayoutStep step = next_layout_step(scene.facts);
            if (std::holds_alternative<std::monostate>(step)) continue;
            scene.perform(step);
            ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << ": " << words(step);
        }
        // Everybody is well again, and nothing else happens.
        for (LayoutNode& it : scene.facts.nodes) it.ready = true;
        const std::string course = scene.course();
        ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << ": " << course;
        ASSERT_FALSE(course.ends_with("and so on")) << "seed " << seed << ": " << course;
        std::set<std::uint64_t> staying;
        for (const LayoutNode& it : scene.facts.nodes) {
            if (!it.leaving) staying.insert(number_of(it.id));
        }
        if (staying.empty()) continue;
        ++ended;
        if (scene.facts.version == 0) continue;  // alone from the first to the last
        ASSERT_EQ(scene.placed(), staying) << "seed " << seed << ": " << course;
        ASSERT_FALSE(scene.facts.reencode) << "seed " << seed << ": " << course;
    }
    EXPECT_GT(3 * ended, 2 * seeds);
}

}  // namespace
}  // namespace hamster::cluster
