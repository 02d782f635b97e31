#include "cluster/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <set>

#include "cluster/scene.h"
#include "cluster/spread.h"
#include "runtime/prng.h"

namespace hamster::cluster {
namespace {

using namespace testing;

// The step in words: "+4" learner 4 comes, "^4" it becomes a voter, "v4" it is one no more, "-4" it
// goes, ">4" the leader hands over to it, "" nothing.
std::uint64_t number_of(const NodeId& id) { return base::get_be64(id.raw.data() + 8); }
std::string words(const Facts& facts, const Step& step) {
    if (const auto* hand_over = std::get_if<HandOver>(&step)) {
        return ">" + std::to_string(number_of(hand_over->to));
    }
    const auto* change = std::get_if<Change>(&step);
    if (change == nullptr) return {};
    std::string out;
    for (std::uint64_t number = 1; number <= 20; ++number) {
        const NodeId node = id(number);
        const bool was = facts.members.contains(node);
        const bool voted = facts.members.is_voter(node);
        const bool is = change->next.contains(node);
        const bool votes = change->next.is_voter(node);
        if (was == is && voted == votes) continue;
        out += (!was ? (votes ? "!" : "+") : !is ? "-" : votes ? "^" : "v");
        out += std::to_string(number);
    }
    return out;
}

Facts performed(Facts facts, const Step& step) {
    if (const auto* change = std::get_if<Change>(&step)) facts.members = change->next;
    if (const auto* hand_over = std::get_if<HandOver>(&step)) facts.leader = hand_over->to;
    return facts;
}

// All steps under the same facts, and what they lead to.
std::string course(Facts& facts) {
    std::string out;
    for (int i = 0; i < 50; ++i) {
        const Step step = next_step(facts);
        if (std::holds_alternative<std::monostate>(step)) return out;
        out += (out.empty() ? "" : " ") + words(facts, step);
        facts = performed(std::move(facts), step);
    }
    return out + " and so on";
}

TEST(Policy, HowManyVote) {
    const Numbers wanted{0, 1, 2, 3, 3, 5, 5, 5};
    for (std::size_t n = 0; n < wanted.size(); ++n) EXPECT_EQ(voters_wanted(n), wanted[n]) << n;
    EXPECT_EQ(voters_wanted(1000), 5U);
}

TEST(Policy, AClusterGrows) {
    Facts some = facts(members({1}), {node(1), node(2), node(3), node(4), node(5)});
    EXPECT_EQ(course(some), "+2 +3 +4 +5 ^2 ^3 ^4 ^5");
    some = facts(members({1}), {node(1), node(2), node(3), node(4)});
    EXPECT_EQ(course(some), "+2 +3 +4 ^2 ^3");
    EXPECT_EQ(course(some), "");
}

TEST(Policy, OnlyWhoIsThereAndCaughtUpIsPromoted) {
    Facts some = facts(members({1}, {2, 3, 4}), {node(1), node(2), node(3), node(4)});
    some.nodes[1].reachable = false;
    some.nodes[2].caught_up = false;
    some.nodes[3].leaving = true;
    EXPECT_EQ(course(some), "");
    some.nodes[2].caught_up = true;
    EXPECT_EQ(course(some), "^3");
}

TEST(Policy, OneChangeAtATime) {
    Facts some = facts(members({1}), {node(1), node(2)});
    some.change_pending = true;
    EXPECT_EQ(course(some), "");
}

TEST(Policy, WhoWasRemovedGoesAndIsReplaced) {
    Facts some = facts(members({1, 2, 3}, {4, 9}), {node(1), node(2), node(4)});
    EXPECT_EQ(course(some), "-9 -3 ^4");
    // The leader: first it hands over.
    some = facts(members({1, 2, 3}, {4}), {node(2), node(3), node(4)});
    EXPECT_EQ(course(some), ">2 -1 ^4");
    some = facts(members({1, 2, 3}), {node(2), node(3)});
    some.nodes[0].caught_up = false;
    EXPECT_EQ(course(some), ">3 -1");
    // There is nobody yet to hand over to.
    some = facts(members({1}, {2}), {node(2)});
    EXPECT_EQ(course(some), "^2 >2 -1");
}

TEST(Policy, ADeadVoterStaysUntilItIsRemoved) {
    Facts some = facts(members({1, 2, 3}, {4}), {node(1), node(2), node(3), node(4)});
    some.nodes[2].reachable = false;
    EXPECT_EQ(course(some), "");
}

TEST(Policy, NothingThatTheQuorumCouldNotBear) {
    // Without 3, which was removed, the two left would have to agree; one of them is down.
    Facts some = facts(members({1, 2, 3}), {node(1), node(2)});
    some.nodes[1].reachable = false;
    EXPECT_EQ(course(some), "");
    some = facts(members({1, 2, 3}), {node(2), node(3)});  // the leader was removed
    some.nodes[1].reachable = false;
    EXPECT_EQ(course(some), "");
}

TEST(Policy, WhoHasNotBeenHeardForAMomentWaits) {
    Facts some = facts(members({1, 2, 3}, {4, 5}), {node(1), node(2), node(3), node(4), node(5)});
    some.nodes[1].reachable = false;  // and 4 died with it
    some.nodes[3].is_heard = false;
    const Step step = next_step(some);
    ASSERT_TRUE(std::holds_alternative<Change>(step));
    EXPECT_EQ(std::get<Change>(step).next.voters.count(id(4)), 0U);
    EXPECT_EQ(std::get<Change>(step).next.voters.count(id(5)), 1U);
    some.nodes[4].is_heard = false;
    EXPECT_TRUE(std::holds_alternative<std::monostate>(next_step(some)));
}

TEST(Policy, ALeavingVoterIsReplacedFirst) {
    Facts some = facts(members({1, 2, 3}, {4}), {node(1), node(2), node(3), node(4)});
    some.nodes[1].leaving = true;
    EXPECT_EQ(course(some), "^4 v2");
    some = facts(members({1, 2, 3}, {4}), {node(1), node(2), node(3), node(4)});
    some.nodes[0].leaving = true;
    EXPECT_EQ(course(some), "^4 >2 v1");
    // Nobody could take its place: it votes until it is empty. Then it goes all the same, or it
    // could never be removed.
    some = facts(members({1, 2, 3}), {node(1), node(2), node(3)});
    some.nodes[1].leaving = true;
    EXPECT_EQ(course(some), "");
    some.nodes[1].is_drained = true;
    EXPECT_EQ(course(some), "v2");
    some = facts(members({1, 2}), {node(1), node(2)});
    some.nodes[0].leaving = true;
    EXPECT_EQ(course(some), "");
    some.nodes[0].is_drained = true;
    EXPECT_EQ(course(some), ">2 v1");
    // Of several the empty ones go first.
    some = facts(members({1, 2, 3, 4}), {node(1), node(2), node(3), node(4)});
    for (const std::size_t leaving : {1U, 2U}) some.nodes[leaving].leaving = true;
    some.nodes[1].is_drained = true;
    EXPECT_EQ(course(some), "v2");
}

TEST(Policy, ASurplusVoterIsDemoted) {
    Facts some = facts(members({1, 2, 3, 4}), {node(1), node(2), node(3), node(4)});
    EXPECT_EQ(course(some), "v4");
    some = facts(members({1, 2, 3, 4}), {node(1), node(2), node(3), node(4)});
    some.nodes[1].reachable = false;
    EXPECT_EQ(course(some), "v2");
    some = facts(members({1, 2, 3, 4}), {node(1, "a"), node(2, "b"), node(3, "b"), node(4, "c")});
    EXPECT_EQ(course(some), "v3");
}

TEST(Policy, VotersAreSpreadOverZonesThenHosts) {
    Facts some =
        facts(members({1}, {2, 3, 4}), {node(1, "a"), node(2, "a"), node(3, "b"), node(4, "c")});
    EXPECT_EQ(course(some), "^3 ^4");
    some = facts(members({1}, {2, 3, 4}),
                 {node(1, "a", "h1"), node(2, "a", "h1"), node(3, "a", "h2"), node(4, "a", "h2")});
    EXPECT_EQ(course(some), "^3 ^2");
    // A zone is new: promoted first, then another is demoted, never the leader.
    some = facts(members({1, 2, 3}, {4}), {node(1, "a"), node(2, "b"), node(3, "a"), node(4, "c")});
    EXPECT_EQ(course(some), "^4 v3");
    some = facts(members({1, 2, 3}, {4}),
                 {node(1, "a", "h1"), node(2, "a", "h2"), node(3, "a", "h2"), node(4, "a", "h3")});
    EXPECT_EQ(course(some), "^4 v3");
}

TEST(Policy, NobodyIsAMember) {
    Facts some = facts(members({1, 2}), {});
    EXPECT_EQ(course(some), "");
}

// Random clusters.

bool maybe(runtime::Prng& random, std::uint64_t one_in) { return random.below(one_in) == 0; }

struct Luck {
    std::uint64_t trouble;  // a fact is bad once in this many; 0: never
    bool tidy_hosts;        // a host lies in one zone only, as it should
};

Facts draw(runtime::Prng& random, Luck luck) {
    const auto bad = [&] { return luck.trouble != 0 && maybe(random, luck.trouble); };
    const std::uint64_t count = 1 + random.below(9);
    Facts some;
    std::vector<NodeId> voters;
    for (std::uint64_t number = 1; number <= count; ++number) {
        const std::string zone(1, static_cast<char>('a' + random.below(4)));
        const std::string host = "h" + std::to_string(random.below(3));
        NodeFacts drawn = node(number, zone, luck.tidy_hosts ? zone + host : host);
        if (maybe(random, 8)) drawn.host.clear();
        drawn.reachable = !bad();
        drawn.caught_up = !bad();
        drawn.leaving = bad();
        drawn.is_drained = drawn.leaving && bad();
        const auto place = random.below(3);
        if (place == 0) some.members.learners.insert(drawn.id);
        if (place == 1) some.members.voters.insert(drawn.id);
        const bool removed = maybe(random, 8);
        if (!removed) some.nodes.push_back(drawn);
    }
    if (some.members.voters.empty()) {
        some.members.learners.erase(id(1));
        some.members.voters.insert(id(1));
    }
    voters.assign(some.members.voters.begin(), some.members.voters.end());
    some.leader = voters[random.below(voters.size())];
    for (NodeFacts& node : some.nodes) {
        if (node.id == some.leader) node.reachable = node.caught_up = true;
    }
    return some;
}

const NodeFacts* find(const Facts& facts, const NodeId& id) {
    const auto at = std::ranges::find(facts.nodes, id, &NodeFacts::id);
    return at == facts.nodes.end() ? nullptr : &*at;
}

// `led`: leaders so far; they are there, removed or not.
bool has_quorum(const Facts& facts, const std::set<NodeId>& led) {
    std::size_t reachable = 0;
    for (const NodeId& voter : facts.members.voters) {
        const NodeFacts* node = find(facts, voter);
        if (led.contains(voter) || (node != nullptr && node->reachable)) ++reachable;
    }
    return reachable > facts.members.voters.size() / 2;
}

// One step is one that the core takes, and that hurts nobody.
void check_step(const Facts& before, const Step& step) {
    if (const auto* hand_over = std::get_if<HandOver>(&step)) {
        const NodeFacts* to = find(before, hand_over->to);
        ASSERT_NE(to, nullptr);
        ASSERT_NE(to->id, before.leader);
        ASSERT_TRUE(before.members.is_voter(to->id));
        ASSERT_TRUE(to->reachable && to->caught_up);
        return;
    }
    const auto what = words(before, step);
    ASSERT_EQ(std::ranges::count_if(what, [](char c) { return c < '0' || c > '9'; }), 1) << what;
    ASSERT_NE(what.front(), '!') << what;
    const auto& next = std::get<Change>(step).next;
    ASSERT_FALSE(next.voters.empty());
    ASSERT_TRUE(next.is_voter(before.leader) || !before.members.is_voter(before.leader)) << what;
    for (const NodeId& voter : next.voters) {
        const NodeFacts* node = find(before, voter);
        if (before.members.is_voter(voter)) continue;
        ASSERT_TRUE(node != nullptr && node->reachable && node->caught_up && !node->leaving);
    }
}

// Performs all steps; the facts at the end. Fails when there is no end.
void run_to_end(Facts& facts, std::string& steps) {
    std::set<NodeId> led{facts.leader};
    bool had_quorum = has_quorum(facts, led);
    for (int i = 0; i < 60; ++i) {
        const Step step = next_step(facts);
        if (std::holds_alternative<std::monostate>(step)) return;
        steps += words(facts, step) + " ";
        ASSERT_NO_FATAL_FAILURE(check_step(facts, step)) << steps;
        facts = performed(std::move(facts), step);
        led.insert(facts.leader);
        const bool quorum = has_quorum(facts, led);
        ASSERT_TRUE(quorum || !had_quorum) << "lost the quorum: " << steps;
        had_quorum = quorum;
    }
    FAIL() << "no end: " << steps;
}

NodeList voters_of(const Facts& facts) {
    NodeList out;
    for (const NodeFacts& node : facts.nodes) {
        if (facts.members.is_voter(node.id)) out.push_back(&node);
    }
    return out;
}

// The best spread of `size` voters, the leader among them, by trying all.
Spread best_spread(const Facts& facts, std::size_t size) {
    Spread best{UINT64_MAX, UINT64_MAX};
    for (std::uint32_t mask = 0; mask < 1U << facts.nodes.size(); ++mask) {
        if (static_cast<std::size_t>(std::popcount(mask)) != size) continue;
        NodeList chosen;
        bool leads = false;
        for (std::size_t i = 0; i < facts.nodes.size(); ++i) {
            if ((mask >> i & 1U) == 0) continue;
            chosen.push_back(&facts.nodes[i]);
            leads = leads || facts.nodes[i].id == facts.leader;
        }
        if (leads) best = std::min(best, spread_of(chosen));
    }
    return best;
}

// Who is leaving and empty is counted out.
std::size_t wanted_of(const Facts& facts) {
    const auto staying = std::ranges::count_if(
        facts.nodes, [](const NodeFacts& node) { return !node.leaving || !node.is_drained; });
    return voters_wanted(static_cast<std::size_t>(std::max(staying, 1L)));
}

TEST(PolicyProperty, ItEndsAndKeepsTheQuorumWhateverIsDown) {
    int quorate = 0;
    for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
        runtime::Prng random(seed);
        Facts some = draw(random, {2 + random.below(8), seed % 2 == 0});
        const bool had_quorum = has_quorum(some, {});
        std::string steps;
        ASSERT_NO_FATAL_FAILURE(run_to_end(some, steps)) << "seed " << seed;
        if (some.nodes.empty()) continue;
        for (const NodeFacts& node : some.nodes) {
            ASSERT_TRUE(some.members.contains(node.id)) << "seed " << seed << ": " << steps;
        }
        if (!had_quorum) continue;
        ++quorate;
        const std::size_t wanted = wanted_of(some);
        const std::size_t votes = voters_of(some).size();
        ASSERT_LE(votes, wanted) << "seed " << seed << ": " << steps;
        const bool spare = std::ranges::any_of(some.nodes, [&some](const NodeFacts& node) {
            return !some.members.is_voter(node.id) && node.reachable && node.caught_up &&
                   !node.leaving;
        });
        ASSERT_TRUE(votes == wanted || !spare) << "seed " << seed << ": " << steps;
    }
    EXPECT_GT(quorate, 5'000);
}

TEST(PolicyProperty, AHealthyClusterEndsAtItsBest) {
    int reached = 0;
    for (std::uint64_t seed = 1; seed <= 5'000; ++seed) {
        runtime::Prng random(seed);
        Facts some = draw(random, {0, true});
        const bool had_quorum = has_quorum(some, {});
        std::string steps;
        ASSERT_NO_FATAL_FAILURE(run_to_end(some, steps)) << "seed " << seed;
        if (!had_quorum) continue;
        ++reached;
        const std::size_t wanted = wanted_of(some);
        ASSERT_EQ(some.members.voters.size(), wanted) << "seed " << seed << ": " << steps;
        ASSERT_EQ(some.members.voters.size() + some.members.learners.size(), some.nodes.size());
        ASSERT_EQ(spread_of(voters_of(some)), best_spread(some, wanted))
            << "seed " << seed << ": " << steps;
    }
    EXPECT_GT(reached, 2'000);
}

// Nodes come and go, and come back: every time there is an end, and the quorum that is there stays.
TEST(PolicyProperty, ItFollowsChangingFacts) {
    for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
        runtime::Prng random(seed);
        Facts some = draw(random, {6, seed % 2 == 0});
        for (int change = 0; change < 10; ++change) {
            for (NodeFacts& node : some.nodes) {
                const bool leads = node.id == some.leader;
                if (maybe(random, 3)) node.reachable = leads || maybe(random, 2);
                if (maybe(random, 5)) node.caught_up = leads || maybe(random, 2);
                if (maybe(random, 9)) node.leaving = maybe(random, 2);
                node.is_drained = node.leaving && (node.is_drained || maybe(random, 3));
            }
            std::string steps;
            ASSERT_NO_FATAL_FAILURE(run_to_end(some, steps)) << "seed " << seed;
        }
    }
}

}  // namespace
}  // namespace hamster::cluster
