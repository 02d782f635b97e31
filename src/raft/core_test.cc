// The core against dice: safety (thesis, figure 3.2) under faults, progress once they end.
#include "raft/core.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "base/planted.h"
#include "raft/core_scene.h"

namespace hamster {

namespace {
base::Bug planted_bug = base::Bug::kNone;
}  // namespace

// Stands in for the one of src/base/planted.cc, in this binary only.
bool base::planted(base::Bug bug) { return planted_bug == bug; }

namespace raft {
namespace {

using namespace testing;

constexpr int kFound = 3;  // exit code

// How many hundreds of seeds; RAFT_HUNDREDS makes it a campaign.
std::uint64_t campaign_hundreds() {
    const char* text = std::getenv("RAFT_HUNDREDS");  // NOLINT(concurrency-mt-unsafe)
    return text == nullptr ? 20 : std::strtoull(text, nullptr, 10);
}

// How often what happens, out of a thousand steps of one node; drawn for each seed, since what is
// rare in one mixture is common in another.
struct Weights {
    std::uint64_t crash = 0;
    std::uint64_t restart = 0;
    std::uint64_t tick = 0;
    std::uint64_t write = 0;
    std::uint64_t propose = 0;
    std::uint64_t read = 0;
    std::uint64_t snapshot = 0;
    std::uint64_t compact = 0;
    std::uint64_t members = 0;
    std::uint64_t transfer = 0;
    std::uint64_t cut = 0;
    std::uint64_t mend = 0;
    std::uint64_t full = 0;
    std::uint64_t damage = 0;
};

Weights draw_weights(Scene& scene) {
    Weights out;
    const bool is_rough = scene.chance(30);
    out.crash = is_rough ? 5 + scene.below(20) : scene.below(6);
    out.restart = 20 + scene.below(200);
    out.tick = 50 + scene.below(300);
    out.write = 50 + scene.below(300);
    out.propose = 5 + scene.below(100);
    out.read = scene.below(60);
    out.snapshot = 20;
    out.compact = scene.below(12);
    out.members = scene.chance(50) ? 0 : scene.below(12);
    out.transfer = scene.below(4);
    out.cut = scene.below(10);
    out.mend = 1 + scene.below(5);
    out.full = scene.chance(50) ? 0 : scene.below(15);
    out.damage = scene.below(4);
    return out;
}

// Whoever is left must be able to go on. That can be said for a fixed membership, or when the other
// one of two voters has it all.
bool may_damage(Scene& scene, const Node& node, std::uint8_t n, const Weights& weights) {
    if (!node.vote.only_peer.is_zero()) return scene.damaged() == 0;
    const std::size_t voters = node.base_members.voters.size();
    return weights.members == 0 && node.base_members.is_voter(node_id(n)) &&
           scene.damaged() < (voters - 1) / 2;
}

// One thing happens to one node, or a message arrives.
void step(Scene& scene, const Weights& weights) {
    const auto n = static_cast<std::uint8_t>(1 + scene.below(scene.nodes().size()));
    const auto other = static_cast<std::uint8_t>(1 + scene.below(scene.nodes().size()));
    Node& node = scene.node(n);
    std::uint64_t what = scene.below(1000);
    const auto is = [&what](std::uint64_t weight) {
        if (what < weight) return true;
        what -= weight;
        return false;
    };
    if (!node.is_up()) {
        if (is(weights.restart)) scene.start(n);
    } else if (is(weights.crash)) {
        scene.crash(n);
    } else if (is(weights.tick)) {
        scene.tick(n);
    } else if (is(weights.write)) {
        scene.finish_write(n);
    } else if (is(weights.propose)) {
        scene.propose(n);
    } else if (is(weights.read)) {
        scene.read(n);
    } else if (is(weights.snapshot)) {
        scene.deliver_snapshot();
    } else if (is(weights.compact)) {
        scene.compact(n);
    } else if (is(weights.members)) {
        scene.change_members(n);
    } else if (is(weights.transfer)) {
        scene.transfer(n, other);
    } else if (is(weights.cut)) {
        scene.cut_links().insert({n, other});
        if (scene.chance(70)) scene.cut_links().insert({other, n});
        if (scene.chance(40)) scene.isolate(n);
    } else if (is(weights.mend)) {
        scene.cut_links().clear();
    } else if (is(weights.full)) {
        scene.run_out_of_space(n);
    } else if (is(weights.damage)) {
        if (may_damage(scene, node, n, weights)) scene.damage(n);
    } else if (!scene.network().empty()) {
        scene.deliver(scene.below(scene.network().size()));
    }
}

// Time passes evenly, nothing gets lost.
void calm(Scene& scene, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        for (auto& [n, node] : scene.nodes()) {
            scene.tick(n);
            while (!node.writes.empty()) scene.finish_write(n);
        }
        scene.deliver_snapshot();
        for (int messages = 0; messages < 500 && !scene.network().empty(); ++messages) {
            scene.deliver(scene.below(scene.network().size()));
        }
    }
}

void heal(Scene& scene) {
    scene.loss_percent = 0;
    scene.double_percent = 0;
    scene.cut_links().clear();
    for (auto& [n, node] : scene.nodes()) {
        if (!node.is_up()) scene.start(n);
    }
}

// A campaign that never elects, reads or installs proves nothing.
struct Reached {
    std::size_t terms = 0;
    std::size_t committed = 0;
    std::size_t reads = 0;
    std::size_t snapshots = 0;
    std::size_t memberships = 0;
    std::size_t transfers = 0;
    std::size_t taken_back = 0;
    std::size_t damages = 0;
    std::size_t damages_of_two = 0;
};

void note(Scene& scene, std::uint8_t leader, Reached& reached) {
    reached.terms += scene.core(leader).term().value;
    reached.committed += scene.committed().size();
    reached.reads += scene.reads_confirmed;
    reached.snapshots += scene.snapshots_installed;
    reached.memberships += scene.membership_changes;
    reached.transfers += scene.transfers;
    reached.taken_back += scene.taken_back;
    reached.damages += scene.damages;
    reached.damages_of_two += scene.damages_of_two;
}

// Faults, then none; empty when every promise was kept.
std::string run(std::uint64_t seed, Reached* reached) {
    const auto nodes = static_cast<std::uint8_t>(1 + seed % 7);
    const auto voters = static_cast<std::uint8_t>(1 + seed / 7 % nodes);
    Scene scene(seed, voters, nodes);
    scene.loss_percent = scene.below(3) * scene.below(15);
    scene.double_percent = scene.below(3) * scene.below(25);
    scene.most_entries = 1 + scene.below(4);
    const Weights weights = draw_weights(scene);
    for (int i = 0; i < 5000 && scene.broken.empty(); ++i) step(scene, weights);
    scene.check_logs_match();
    heal(scene);
    calm(scene, 120);
    if (!scene.broken.empty()) return scene.broken;
    const auto leader = scene.leader();
    if (!leader) return "nobody leads after all was healed\n" + scene.describe();
    const std::size_t before = scene.committed().size();
    scene.propose(*leader);
    calm(scene, 30);
    if (scene.committed().size() == before) return "no progress\n" + scene.describe();
    for (const NodeId& id : scene.core(*leader).members().voters) {
        const auto n = static_cast<std::uint8_t>(id.raw.back());
        if (scene.node(n).applied.size() != scene.committed().size()) {
            return "a voter does not catch up\n" + scene.describe();
        }
    }
    if (reached != nullptr) note(scene, *leader, *reached);
    return scene.broken;
}

class CoreTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(CoreTest, KeepsItsPromisesUnderFaults) {
    Reached reached;
    for (std::uint64_t seed = GetParam() * 100; seed < GetParam() * 100 + 100; ++seed) {
        const std::string broken = run(seed, &reached);
        ASSERT_EQ(broken, "") << "seed " << seed;
    }
    EXPECT_GT(reached.terms, 200U);
    EXPECT_GT(reached.committed, 2000U);
    EXPECT_GT(reached.reads, 1000U);
    EXPECT_GT(reached.snapshots, 10U);
    EXPECT_GT(reached.memberships, 50U);
    EXPECT_GT(reached.transfers, 20U);
    EXPECT_GT(reached.taken_back, 0U);
    EXPECT_GT(reached.damages, 10U);
    EXPECT_GT(reached.damages_of_two, 10U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CoreTest, ::testing::Range<std::uint64_t>(0, campaign_hundreds()));

// Messages of the nodes in `among` arrive in order, until `done`; all others are lost.
template <class Done>
void exchange(Scene& scene, const std::set<std::uint8_t>& among, std::uint64_t last_index,
              Done done) {
    for (int i = 0; i < 10'000 && !done(); ++i) {
        for (const std::uint8_t n : among) {
            if (!scene.node(n).writes.empty()) scene.finish_write(n);
            if (done()) return;
        }
        if (scene.network().empty()) {
            for (const std::uint8_t n : among) scene.tick(n);
            continue;
        }
        RaftMessage& first = scene.network().front();
        const auto is_in = [&among](const std::string& id) {
            return among.contains(static_cast<std::uint8_t>(id.back()));
        };
        const auto& entries = first.append().entries();
        const bool is_late = !entries.empty() && entries.rbegin()->index() > last_index;
        if (is_in(first.from()) && is_in(first.to()) && !is_late) {
            const RaftMessage message = first;
            scene.network().erase(scene.network().begin());
            scene.hand_over(message);
        } else {
            scene.network().erase(scene.network().begin());
        }
    }
}

void elect(Scene& scene, std::uint8_t n, const std::set<std::uint8_t>& voters) {
    // Only n's clock runs.
    scene.network().clear();
    for (int i = 0; i < 100 && scene.core(n).role() != Role::kLeader; ++i) {
        scene.tick(n);
        for (int rounds = 0; rounds < 20; ++rounds) {
            for (const std::uint8_t v : voters) {
                while (!scene.node(v).writes.empty()) scene.finish_write(v);
            }
            if (scene.core(n).role() == Role::kLeader) break;
            std::vector<RaftMessage> messages = std::exchange(scene.network(), {});
            for (const RaftMessage& message : messages) {
                const auto is_in = [&voters](const std::string& id) {
                    return voters.contains(static_cast<std::uint8_t>(id.back()));
                };
                if (is_in(message.from()) && is_in(message.to())) scene.hand_over(message);
            }
        }
    }
    scene.network().clear();
}

// Thesis, figure 3.7: an entry of an earlier term is on a majority and can still be replaced.
std::string run_figure_3_7() {
    constexpr std::uint64_t kAny = 1000;
    Scene scene(1, 5, 5);
    scene.most_entries = 1;
    const std::set<std::uint8_t> all{1, 2, 3, 4, 5};
    elect(scene, 1, all);
    exchange(scene, all, kAny, [&] {
        return std::ranges::all_of(all, [&](auto n) { return scene.node(n).applied.size() == 1; });
    });
    scene.propose(1);  // (a) on S1 and S2 only
    exchange(scene, {1, 2}, kAny, [&] { return scene.node(2).log.size() == 2; });
    scene.crash(1);
    for (int i = 0; i < 30; ++i) {  // they no longer hear S1
        for (std::uint8_t n = 2; n <= 5; ++n) scene.tick(n);
    }
    elect(scene, 5, {3, 4, 5});  // (b) with an entry of its own at the same index
    if (scene.core(5).role() != Role::kLeader) return "S5 is not elected";
    while (!scene.node(5).writes.empty()) scene.finish_write(5);
    scene.crash(5);
    scene.start(1);
    for (int i = 0; i < 30; ++i) {
        for (std::uint8_t n = 2; n <= 4; ++n) scene.tick(n);
    }
    elect(scene, 1, {1, 2, 3});  // (c) and brings the old entry to S3, but not its new one
    if (scene.core(1).role() != Role::kLeader) return "S1 is not elected again";
    exchange(scene, {1, 2, 3}, 2, [&] {
        const auto has_it = [&](std::uint8_t n) {
            return scene.core(1).progress().at(node_id(n)).match.value == 2;
        };
        return scene.core(1).role() != Role::kLeader || (has_it(2) && has_it(3));
    });
    if (scene.node(3).log.size() != 2) return "the old entry did not reach S3";
    scene.crash(1);
    scene.start(5);
    for (int i = 0; i < 30; ++i) {
        for (std::uint8_t n = 3; n <= 4; ++n) scene.tick(n);
    }
    elect(scene, 5, {3, 4, 5});  // (d) replaces it
    if (scene.core(5).role() != Role::kLeader) return "S5 is not elected again";
    exchange(scene, {3, 4, 5}, kAny, [&] { return scene.node(3).applied.size() >= 3; });
    return scene.broken;
}

TEST(Core, CommitsEntriesOfEarlierTermsOnlyThroughItsOwn) { EXPECT_EQ(run_figure_3_7(), ""); }

// Seeds of the dice found both; these say what it was.
TEST(Core, ASnapshotDoesNotTakeWhatTheLogHas) {
    Restored restored;
    restored.vote = {Term{1}, NodeId{}};
    for (int i = 0; i < 5; ++i) restored.log.append(Term{1});
    restored.memberships = {{LogIndex{}, {{node_id(1), node_id(2)}, {}}}};
    Core core({.self = node_id(1)}, restored);
    EXPECT_FALSE(core.install({LogIndex{3}, Term{1}}, restored.memberships[0].second));
    EXPECT_EQ(core.log().last().index.value, 5U);
    EXPECT_EQ(core.commit().value, 3U);
    EXPECT_TRUE(core.install({LogIndex{5}, Term{2}}, restored.memberships[0].second));
    EXPECT_EQ(core.log().last(), (Position{LogIndex{5}, Term{2}}));
    EXPECT_FALSE(core.install({LogIndex{4}, Term{1}}, restored.memberships[0].second));
}

TEST(Core, ARemovedVoterCampaignsUntilTheRemovalIsCommitted) {
    for (const bool is_committed : {false, true}) {
        Restored restored;
        restored.vote = {Term{1}, NodeId{}};
        for (int i = 0; i < 2; ++i) restored.log.append(Term{1});
        restored.applied = LogIndex{is_committed ? 2U : 0U};
        restored.memberships = {{LogIndex{}, {{node_id(1), node_id(2)}, {}}},
                                {LogIndex{2}, {{node_id(2)}, {}}}};
        Core core({.self = node_id(1)}, restored);
        for (int i = 0; i < 30; ++i) core.tick();
        EXPECT_EQ(core.take().messages.empty(), is_committed);
    }
}

TEST(CoreDeathTest, CommittingEarlierTermsByCountingIsFound) {
    const auto hunt_here = [] {
        planted_bug = base::Bug::kRaftCommitOldTerm;
        const std::string broken = run_figure_3_7();
        std::_Exit(broken.starts_with("the new leader lacks committed entry 2") ? kFound : 0);
    };
    EXPECT_EXIT(hunt_here(), ::testing::ExitedWithCode(kFound), "");
}

// The checks are checked: each bug is found, by a promise that breaks or by an assertion.
[[noreturn]] void hunt(base::Bug bug) {
    planted_bug = bug;
    for (std::uint64_t seed = 0; seed < 10000; ++seed) {
        if (!run(seed, nullptr).empty()) std::_Exit(kFound);
    }
    std::_Exit(0);
}

bool is_found(int status) {
    return (WIFEXITED(status) && WEXITSTATUS(status) == kFound) ||
           (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

class CorePlantedDeathTest : public ::testing::TestWithParam<base::Bug> {};

TEST_P(CorePlantedDeathTest, IsFound) { EXPECT_EXIT(hunt(GetParam()), is_found, ""); }

INSTANTIATE_TEST_SUITE_P(
    Bugs, CorePlantedDeathTest,
    ::testing::Values(base::Bug::kRaftVoteLost, base::Bug::kRaftAckBeforeSync,
                      base::Bug::kRaftCountUnsynced, base::Bug::kRaftStaleReads,
                      base::Bug::kRaftTwoMemberships, base::Bug::kRaftKeepConflict,
                      base::Bug::kRaftVoteForShorter, base::Bug::kRaftVoteUnrepaired));

}  // namespace
}  // namespace raft
}  // namespace hamster
