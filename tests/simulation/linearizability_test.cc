#include "linearizability.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "history.h"
#include "linearizability_scene.h"

namespace hamster::simulation {
namespace {

using testing::is_explained;
using testing::Profile;
using testing::Register;

Operation put(int client, std::int64_t from, std::int64_t to, Tag tag) {
    return {client, from, to, Kind::kPut, tag, false, std::nullopt, Outcome::kOk};
}
Operation put_if_none(int client, std::int64_t from, std::int64_t to, Tag tag) {
    Operation op = put(client, from, to, tag);
    op.if_none_match = true;
    return op;
}
Operation put_if(int client, std::int64_t from, std::int64_t to, Tag tag, Tag condition) {
    Operation op = put(client, from, to, tag);
    op.if_match = condition;
    return op;
}
Operation get(int client, std::int64_t from, std::int64_t to, Tag tag) {
    const Outcome outcome = tag == kAbsent ? Outcome::kNotFound : Outcome::kOk;
    return {client, from, to, Kind::kGet, tag, false, std::nullopt, outcome};
}
Operation remove(int client, std::int64_t from, std::int64_t to) {
    return {client, from, to, Kind::kDelete, kAbsent, false, std::nullopt, Outcome::kOk};
}
Operation told(Operation op, Outcome outcome) {
    op.outcome = outcome;
    if (outcome == Outcome::kUnknown) op.returned_us = kNever;
    return op;
}
Operation lost(Operation op) { return told(op, Outcome::kUnknown); }

bool accepts(const std::vector<Operation>& ops) {
    const Finding finding = check_key(ops);
    EXPECT_NE(finding.verdict, Verdict::kUndecided);
    return finding.verdict == Verdict::kLinearizable;
}

TEST(Linearizability, PlainReadsAndWrites) {
    EXPECT_TRUE(accepts({}));
    EXPECT_TRUE(accepts({get(1, 0, 1, kAbsent)}));
    EXPECT_TRUE(accepts({put(1, 0, 1, 7), get(1, 2, 3, 7)}));
    EXPECT_FALSE(accepts({put(1, 0, 1, 7), get(1, 2, 3, kAbsent)}));
    EXPECT_TRUE(accepts({put(1, 0, 10, 7), get(2, 2, 3, kAbsent), get(2, 4, 5, 7)}));
    EXPECT_FALSE(accepts({put(1, 0, 10, 7), get(2, 2, 3, 7), get(2, 4, 5, kAbsent)}));
    EXPECT_FALSE(accepts({put(1, 0, 1, 7), put(1, 2, 3, 8), get(2, 4, 5, 7)}));
    EXPECT_TRUE(accepts({put(1, 0, 3, 7), put(2, 0, 3, 8), get(3, 4, 5, 7)}));
    EXPECT_FALSE(accepts({put(1, 0, 3, 7), put(2, 0, 3, 8), get(3, 4, 5, 7), get(3, 6, 7, 8)}));
    EXPECT_FALSE(accepts({get(1, 0, 1, 9)})) << "nobody wrote it";
    EXPECT_TRUE(accepts({put(1, 0, 1, 7), remove(1, 2, 3), get(1, 4, 5, kAbsent)}));
    EXPECT_FALSE(accepts({put(1, 0, 1, 7), remove(1, 2, 3), get(1, 4, 5, 7)}));
    EXPECT_TRUE(accepts({put(1, 0, 1, 7), get(2, 1, 2, kAbsent)})) << "the same moment";
}

TEST(Linearizability, Conditions) {
    EXPECT_TRUE(accepts(
        {put_if_none(1, 0, 5, 7), told(put_if_none(2, 0, 5, 8), Outcome::kPreconditionFailed)}));
    EXPECT_FALSE(accepts({put_if_none(1, 0, 5, 7), put_if_none(2, 0, 5, 8)}));
    EXPECT_TRUE(accepts({put_if_none(1, 0, 5, 7), remove(3, 0, 5), put_if_none(2, 0, 5, 8)}));
    EXPECT_FALSE(accepts({told(put_if_none(2, 0, 5, 8), Outcome::kPreconditionFailed)}));
    EXPECT_TRUE(accepts({put(1, 0, 1, 7), put_if(1, 2, 9, 8, 7), get(1, 10, 11, 8)}));
    EXPECT_FALSE(accepts({put(1, 0, 1, 7), put_if(1, 2, 9, 8, 7), put_if(2, 2, 9, 9, 7)}));
    EXPECT_TRUE(accepts({put(1, 0, 1, 7), put_if(1, 2, 9, 8, 7),
                         told(put_if(2, 2, 9, 9, 7), Outcome::kPreconditionFailed)}));
    EXPECT_TRUE(accepts({told(put_if(2, 2, 9, 9, 7), Outcome::kNotFound)}));
    EXPECT_FALSE(accepts({put(1, 0, 1, 7), told(put_if(1, 2, 3, 8, 7), Outcome::kNotFound)}));
    EXPECT_TRUE(accepts({put(1, 0, 1, 7), put_if(1, 2, 3, 8, kAnyTag), get(1, 4, 5, 8)}));
    EXPECT_FALSE(accepts({put_if(1, 2, 3, 8, kAnyTag)}));
}

TEST(Linearizability, UnknownOutcomes) {
    const Operation late = lost(put(1, 0, 0, 7));
    EXPECT_TRUE(accepts({late, get(2, 1, 2, kAbsent)}));
    EXPECT_TRUE(accepts({late, get(2, 1, 2, kAbsent), get(2, 3, 4, 7)}));
    EXPECT_FALSE(accepts({late, get(2, 1, 2, 7), get(2, 3, 4, kAbsent)}));
    EXPECT_TRUE(accepts({late, put(2, 1, 2, 8), get(2, 3, 4, 8), get(2, 5, 6, 7)}));
    EXPECT_FALSE(accepts({late, get(2, 1, 2, 7), put(2, 3, 4, 8), get(2, 5, 6, 7)}));
    EXPECT_FALSE(accepts({get(2, 1, 2, 7), lost(put(1, 3, 3, 7))})) << "before it was asked for";
    // It explains a refusal without ever being seen.
    EXPECT_TRUE(accepts({late, told(put_if_none(2, 1, 2, 8), Outcome::kPreconditionFailed)}));
    EXPECT_TRUE(accepts({put(1, 0, 1, 5), lost(remove(3, 2, 2)), put_if_none(2, 3, 4, 8)}));
    // One unknown write enables the next.
    EXPECT_TRUE(accepts({lost(put(1, 0, 0, 5)), lost(put_if(2, 0, 0, 6, 5)), get(3, 1, 2, 6)}));
    EXPECT_FALSE(accepts({lost(put_if(2, 0, 0, 6, 5)), get(3, 1, 2, 6)}));
    EXPECT_TRUE(accepts({lost(get(1, 0, 0, 99))})) << "a read without an answer says nothing";
}

bool is_read(const Operation& op) { return op.kind == Kind::kGet || op.kind == Kind::kHead; }

// Every small history, judged by trying all orders.
TEST(Linearizability, AgreesWithTryingEveryOrder) {
    runtime::Prng random(11);
    int accepted = 0;
    constexpr int kRounds = 60'000;
    for (int round = 0; round < kRounds; ++round) {
        std::vector<Operation> ops;
        const std::uint64_t count = 2 + random.below(6);
        for (std::uint64_t i = 0; i < count; ++i) {
            Operation op;
            op.client = static_cast<int>(i);
            op.invoked_us = static_cast<std::int64_t>(random.below(12));
            op.returned_us = op.invoked_us + static_cast<std::int64_t>(random.below(8));
            constexpr Kind kKinds[] = {Kind::kPut, Kind::kPut,  Kind::kPut,
                                       Kind::kGet, Kind::kHead, Kind::kDelete};
            op.kind = kKinds[random.below(6)];
            op.outcome = random.below(4) == 0 ? Outcome::kUnknown : Outcome::kOk;
            if (op.kind == Kind::kPut) {
                op.tag = 1 + random.below(3);
                op.if_none_match = random.below(4) == 0;
            } else if (is_read(op) && op.outcome == Outcome::kOk) {
                op.tag = random.below(4);
                if (op.tag == kAbsent) op.outcome = Outcome::kNotFound;
            }
            if (!is_read(op) && !op.if_none_match && random.below(3) == 0) {
                op.if_match = 1 + random.below(3);
            }
            const bool conditional = op.if_none_match || op.if_match;
            if (conditional && op.outcome == Outcome::kOk && random.below(3) == 0) {
                op.outcome = Outcome::kPreconditionFailed;
            }
            ops.push_back(op);
        }
        const bool expected = is_explained(ops, kAbsent);
        accepted += expected ? 1 : 0;
        const Finding finding = check_key(ops);
        std::string text;
        for (const Operation& op : ops) text += text_of(op) + "\n";
        ASSERT_EQ(finding.verdict, expected ? Verdict::kLinearizable : Verdict::kViolation) << text;
        if (expected) continue;
        ASSERT_FALSE(is_explained(finding.core, kAbsent)) << text << finding.account;
        ASSERT_LE(finding.core.size(), ops.size());
    }
    EXPECT_GT(accepted, kRounds / 10);
    EXPECT_LT(accepted, kRounds * 9 / 10);
}

TEST(Linearizability, AcceptsWhatARegisterDoes) {
    std::uint64_t most = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        Profile profile;
        profile.clients = 1 + static_cast<int>(seed % 8);
        profile.unknown_percent = seed % 5 * 10;
        profile.deletes = seed % 3 != 0;
        const Finding finding = check_key(Register(seed, profile).run());
        ASSERT_EQ(finding.verdict, Verdict::kLinearizable) << seed << "\n" << finding.account;
        most = std::max(most, finding.states);
    }
    EXPECT_LT(most, 100'000U);
}

TEST(Linearizability, LongHistoriesOfManyClients) {
    Profile profile;
    profile.clients = 16;
    profile.operations = 3000;
    profile.unknown_percent = 3;
    const Finding finding = check_key(Register(5, profile).run());
    EXPECT_EQ(finding.verdict, Verdict::kLinearizable) << finding.account;
    profile.operations = static_cast<int>(kMaxOperationsPerKey) + 100;
    profile.unknown_percent = 0;
    EXPECT_EQ(check_key(Register(5, profile).run()).verdict, Verdict::kUndecided);
    EXPECT_EQ(check_key(Register(5, {}).run(), 1).verdict, Verdict::kUndecided);
}

// Mutations, each of which no register can do. False: this history has no place for it.
using Mutation = std::function<bool(std::vector<Operation>&, runtime::Prng&)>;

bool is_done(const Operation& op, Kind kind) {
    return op.kind == kind && op.outcome == Outcome::kOk;
}
bool precedes(const Operation& a, const Operation& b) { return a.returned_us < b.invoked_us; }

// A get after a `last`, that comes after a put, answers what was put.
bool answer_from_before(std::vector<Operation>& ops, runtime::Prng& random, Kind last) {
    const std::size_t start = random.below(ops.size());
    for (std::size_t n = 0; n < ops.size(); ++n) {
        Operation& read = ops[(start + n) % ops.size()];
        const bool answered = read.outcome == Outcome::kOk || read.outcome == Outcome::kNotFound;
        if (read.kind != Kind::kGet || !answered) continue;
        for (const Operation& second : ops) {
            if (!is_done(second, last) || !precedes(second, read)) continue;
            for (const Operation& first : ops) {
                if (!is_done(first, Kind::kPut) || !precedes(first, second)) continue;
                read.outcome = Outcome::kOk;
                read.tag = first.tag;
                return true;
            }
        }
    }
    return false;
}
bool stale_read(std::vector<Operation>& ops, runtime::Prng& random) {
    return answer_from_before(ops, random, Kind::kPut);
}
bool resurrected_delete(std::vector<Operation>& ops, runtime::Prng& random) {
    return answer_from_before(ops, random, Kind::kDelete);
}
// Another put replaced the same value.
bool lost_update(std::vector<Operation>& ops, runtime::Prng& random) {
    const std::size_t start = random.below(ops.size());
    for (std::size_t n = 0; n < ops.size(); ++n) {
        Operation op = ops[(start + n) % ops.size()];
        if (!is_done(op, Kind::kPut) || !op.if_match) continue;
        op.client = 100;
        op.tag = 1'000'000;
        op.returned_us += static_cast<std::int64_t>(random.below(50));
        ops.push_back(op);
        return true;
    }
    return false;
}
// Only where nothing is ever deleted.
bool second_winner(std::vector<Operation>& ops, runtime::Prng& random) {
    for (const Operation& winner : ops) {
        if (!is_done(winner, Kind::kPut) || !winner.if_none_match) continue;
        Operation op = winner;
        op.client = 100;
        op.tag = 1'000'000;
        op.returned_us += static_cast<std::int64_t>(random.below(50));
        ops.push_back(op);
        return true;
    }
    return false;
}
bool lost_write(std::vector<Operation>& ops, runtime::Prng& random) {
    const std::size_t start = random.below(ops.size());
    for (std::size_t n = 0; n < ops.size(); ++n) {
        Operation& read = ops[(start + n) % ops.size()];
        if (!is_done(read, Kind::kGet)) continue;
        for (const Operation& write : ops) {
            if (!is_done(write, Kind::kPut) || !precedes(write, read)) continue;
            read.outcome = Outcome::kNotFound;
            read.tag = kAbsent;
            return true;
        }
    }
    return false;
}
bool never_written(std::vector<Operation>& ops, runtime::Prng& random) {
    const std::size_t start = random.below(ops.size());
    for (std::size_t n = 0; n < ops.size(); ++n) {
        Operation& read = ops[(start + n) % ops.size()];
        if (!is_done(read, Kind::kGet)) continue;
        read.tag = 2'000'000;
        return true;
    }
    return false;
}

void expect_rejected(const Mutation& mutate, bool deletes, std::uint64_t unknown_percent) {
    int tried = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        Profile profile;
        profile.clients = 2 + static_cast<int>(seed % 7);
        profile.operations = seed % 2 == 0 ? 200 : 40;
        profile.deletes = deletes;
        profile.unknown_percent = unknown_percent;
        std::vector<Operation> ops = Register(seed, profile).run();
        runtime::Prng random(seed);
        if (!mutate(ops, random)) continue;
        ++tried;
        const Finding finding = check_key(ops);
        ASSERT_EQ(finding.verdict, Verdict::kViolation) << seed;
        EXPECT_FALSE(finding.account.empty());
        EXPECT_LT(finding.states, 100'000U) << seed;
        EXPECT_EQ(check_key(finding.core).verdict, Verdict::kViolation) << finding.account;
        EXPECT_LE(finding.core.size(), ops.size());
    }
    EXPECT_GT(tried, 20);
}

TEST(Linearizability, RejectsAStaleRead) {
    expect_rejected(stale_read, true, 0);
    expect_rejected(stale_read, true, 20);
}
TEST(Linearizability, RejectsALostUpdate) {
    expect_rejected(lost_update, true, 0);
    expect_rejected(lost_update, true, 20);
}
TEST(Linearizability, RejectsTwoWinnersOfIfNoneMatch) {
    expect_rejected(second_winner, false, 0);
    expect_rejected(second_winner, false, 20);
}
TEST(Linearizability, RejectsAResurrectedDelete) {
    expect_rejected(resurrected_delete, true, 0);
    expect_rejected(resurrected_delete, true, 20);
}
TEST(Linearizability, RejectsALostWrite) {
    expect_rejected(lost_write, false, 0);
    expect_rejected(lost_write, false, 20);
}
TEST(Linearizability, RejectsAValueThatNobodyWrote) {
    expect_rejected(never_written, true, 0);
    expect_rejected(never_written, true, 20);
}

// Requests without an answer overlap everything after them.
TEST(Linearizability, ManyUnknownWritesStayCheap) {
    std::vector<Operation> ops;
    Tag tag = 1;
    std::int64_t at = 0;
    for (int i = 0; i < 60; ++i) {
        at += 10;
        ops.push_back(lost(put(1, at, at, tag++)));
        ops.push_back(lost(put_if_none(2, at + 1, at + 1, tag++)));
        ops.push_back(lost(remove(3, at + 2, at + 2)));
        ops.push_back(put(4, at + 3, at + 5, tag));
        ops.push_back(get(5, at + 6, at + 8, tag++));
    }
    const Finding fine = check_key(ops);
    EXPECT_EQ(fine.verdict, Verdict::kLinearizable);
    EXPECT_LT(fine.states, 1000U);
    ops.push_back(get(5, at + 20, at + 21, 3));  // overwritten long ago
    const Finding stale = check_key(ops);
    EXPECT_EQ(stale.verdict, Verdict::kViolation);
    EXPECT_LT(stale.states, 200'000U);
}

TEST(Linearizability, TheAccountNamesWhatCannotBe) {
    std::vector<Operation> ops{put(1, 0, 1, 7), get(2, 2, 3, 7), put(1, 4, 5, 8),
                               get(3, 6, 7, 7), get(2, 8, 9, 8), put(1, 10, 11, 9)};
    const Finding finding = check_key(ops);
    EXPECT_EQ(finding.verdict, Verdict::kViolation);
    const std::vector<Operation> core{ops[0], ops[2], ops[3]};
    EXPECT_EQ(finding.core, core) << finding.account;
    EXPECT_EQ(finding.account,
              "No order explains all answers. The longest one explains 2 of 3; then the key holds "
              "v8, and next would be one of:\n"
              "  [6, 7] client 3: GET: saw v7\n"
              "The operations, by invocation:\n"
              "  [0, 1] client 1: PUT v7: done\n"
              "  [4, 5] client 1: PUT v8: done\n"
              "  [6, 7] client 3: GET: saw v7\n");
}

TEST(History, KeepsKeysApartAndMomentsInOrder) {
    History history;
    const runtime::Time now{1000};
    const Tag one = history.new_tag();
    const Tag two = history.new_tag();
    Operation write;
    write.client = 1;
    write.kind = Kind::kPut;
    write.tag = one;
    const auto a = history.begin("b", "x", write, now);
    history.end(a, Outcome::kOk, kAbsent, now);
    Operation read;
    read.client = 1;
    const auto c = history.begin("b", "x", read, now);
    history.end(c, Outcome::kOk, one, now);
    write.tag = two;
    const auto d = history.begin("b", "y", write, now);
    history.refused(d);
    const auto e = history.begin("b", "z", write, now);
    history.end(e, Outcome::kUnknown, kAbsent, now);
    (void)history.begin("b", "z", read, now);
    const auto keys = history.by_key();
    ASSERT_EQ(keys.size(), 2U);
    const auto& x = keys.at({"b", "x"});
    ASSERT_EQ(x.size(), 2U);
    EXPECT_LT(x[0].returned_us, x[1].invoked_us) << "one client's order holds within a microsecond";
    EXPECT_EQ(x[1].tag, one);
    EXPECT_EQ(keys.at({"b", "z"})[0].returned_us, kNever);
    EXPECT_FALSE(check_history(history).key.has_value());
    const auto f = history.begin("b", "z", read, now);
    history.end(f, Outcome::kOk, one, now);
    const HistoryFinding found = check_history(history);
    ASSERT_TRUE(found.key.has_value());
    EXPECT_EQ(*found.key, History::Key("b", "z"));
    EXPECT_NE(found.finding.account.find("nobody had written it"), std::string::npos);
}

}  // namespace
}  // namespace hamster::simulation
