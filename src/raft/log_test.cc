#include "raft/log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "runtime/sim/simulator.h"

namespace hamster::raft {
namespace {

using runtime::Task;
using runtime::sim::DiskFaults;
using runtime::sim::Machine;
using runtime::sim::Simulator;

constexpr wal::Options kTiny{
    .file_bytes = 8 * base::kBlock, .max_group_bytes = 8192, .spare_files = 1};

base::NodeId node() {
    base::NodeId id;
    id.raw.fill(std::byte{0xAB});
    return id;
}

template <class T>
void expect_ok(const Result<T>& result) {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().context);
}

TEST(RaftFormat, GoldenEntryAndVote) {
    proto::Entry entry;
    entry.set_term(3);
    entry.set_index(9);
    entry.set_kind(proto::Entry::NOOP);
    entry.set_payload("payload");
    const std::string record = encode_entry(entry, 0x0102030405060708);
    EXPECT_EQ(base::hex_encode(base::as_bytes(record)),
              "08031009180122077061796c6f6164299cd0b1d5a1049f6c");
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_vote({{5}, node()}))),
              "48414d564f54450a000000010000000000000005"
              "abababababababababababababababab86ee11e0c76df6f3");
    const std::string with_rejoin = encode_vote({{5}, node(), {4}});
    EXPECT_EQ(base::hex_encode(base::as_bytes(with_rejoin)),
              "48414d564f54450a000000020000000000000005"
              "abababababababababababababababab0000000000000004b712f23204368130");
    EXPECT_EQ(*decode_vote(with_rejoin), (Vote{{5}, node(), {4}}));
    const std::string with_peer = encode_vote({{5}, node(), {}, node()});
    EXPECT_EQ(base::hex_encode(base::as_bytes(with_peer)),
              "48414d564f54450a000000030000000000000005"
              "abababababababababababababababab0000000000000000"
              "abababababababababababababababab"
              "e28f44cc7a3ec4de");
    EXPECT_EQ(*decode_vote(with_peer), (Vote{{5}, node(), {}, node()}));
    for (const std::string& whole : {with_rejoin, with_peer}) {
        for (std::size_t i = 0; i < whole.size(); ++i) {
            EXPECT_EQ(decode_vote(whole.substr(0, i)).error().code, Code::kCorrupt);
        }
    }
}

TEST(RaftFormat, DecodeChecksPlaceAndHistory) {
    proto::Entry entry;
    entry.set_term(3);
    entry.set_index(9);
    const std::string record = encode_entry(entry, 77);
    const auto bytes = base::as_bytes(record);
    const Tail before{{8}, {3}, 77};
    expect_ok(decode_entry(bytes, {9}, &before));
    expect_ok(decode_entry(bytes, {9}, nullptr));
    EXPECT_EQ(decode_entry(bytes, {8}, nullptr).error().code, Code::kCorrupt);
    const Tail other{{8}, {3}, 78};
    EXPECT_EQ(decode_entry(bytes, {9}, &other).error().code, Code::kCorrupt);
    const Tail later{{8}, {4}, 77};
    EXPECT_EQ(decode_entry(bytes, {9}, &later).error().code, Code::kCorrupt);
    for (std::size_t n = 0; n < record.size(); ++n) {
        EXPECT_FALSE(decode_entry(bytes.first(n), {9}, &before)) << n;
    }
}

TEST(RaftFormat, UnknownFieldsAreCoveredAndKept) {
    proto::Entry entry;
    entry.set_term(3);
    entry.set_index(9);
    entry.GetReflection()->MutableUnknownFields(&entry)->AddLengthDelimited(900, "from tomorrow");
    const std::string record = encode_entry(entry, 77);
    const Tail before{{8}, {3}, 77};
    auto read = decode_entry(base::as_bytes(record), {9}, &before);
    ASSERT_TRUE(read);
    EXPECT_EQ(encode_entry(*read, 77), record);
}

TEST(RaftFormat, DamagedVote) {
    std::string bytes = encode_vote({{5}, node()});
    EXPECT_EQ(*decode_vote(bytes), (Vote{{5}, node()}));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(bytes[i] ^ 1);
        EXPECT_EQ(decode_vote(bytes).error().code, Code::kCorrupt);
        bytes[i] = static_cast<char>(bytes[i] ^ 1);
        EXPECT_EQ(decode_vote(bytes.substr(0, i)).error().code, Code::kCorrupt);
    }
    bytes[11] = 4;  // a later version
    bytes.resize(bytes.size() - 8);
    base::put_be64(bytes, base::xxh3_64(base::as_bytes(bytes)));
    EXPECT_EQ(decode_vote(bytes).error().code, Code::kUnsupported);
}

struct Scene {
    Scene() : machine(sim.machine("m")) { world = &machine.boot(); }
    explicit Scene(std::uint64_t seed) : sim(seed), machine(sim.machine("m")) {
        world = &machine.boot();
    }
    ~Scene() { end(); }
    void end() {
        if (machine.is_up()) {
            machine.crash([this] { log.reset(); });
        }
    }
    void restart() {
        end();
        world = &machine.boot();
    }
    Simulator sim{1};
    Machine& machine;
    runtime::World* world = nullptr;
    base::Metrics metrics;
    std::unique_ptr<Log> log;
    std::optional<Error> error;
    std::vector<std::string> calls;  // payloads in the order of the calls
    std::uint64_t acknowledged = 0;  // the highest index
    int failures = 0;
};

Task<void> open_log(Scene* s) {
    s->error.reset();
    auto opened = co_await Log::open(s->world, "raft", kTiny, &s->metrics);
    if (!opened) {
        s->error = opened.error();
        co_return;
    }
    s->log = std::move(*opened);
    auto began = co_await s->log->begin_term(node());
    if (!began) {
        s->error = began.error();
    }
}

Task<void> append(Scene* s, int n, std::size_t size) {
    for (int i = 0; i < n; ++i) {
        std::string payload = fmt::format("{} {}", s->calls.size(), std::string(size, 'p'));
        s->calls.push_back(payload);
        auto tail = co_await s->log->append(proto::Entry::COMMAND, std::move(payload));
        if (tail) {
            s->acknowledged = std::max(s->acknowledged, tail->index.value);
        } else {
            ++s->failures;
        }
    }
}

Task<void> append_together(Scene* s, int tasks, int n, std::size_t size) {
    runtime::Gate gate;
    for (int i = 0; i < tasks; ++i) {
        runtime::spawn(s->world->executor, gate, "append", append(s, n, size));
    }
    co_await gate.close();
}

Task<void> read_all(Scene* s, std::vector<proto::Entry>* out) {
    auto read = co_await s->log->read(s->log->first_index(), {s->log->last_index().value + 1},
                                      [out](const proto::Entry& entry) {
                                          out->push_back(entry);
                                          return Result<void>{};
                                      });
    expect_ok(read);
}

TEST(RaftLog, TermsRiseAndEntriesStay) {
    Scene s;
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    EXPECT_EQ(s.log->vote(), (Vote{{1}, node()}));
    EXPECT_EQ(s.log->last_index().value, 0U);
    EXPECT_EQ(s.log->last_term().value, 0U);
    ASSERT_TRUE(s.sim.run_on(s.machine, append_together(&s, 8, 5, 100)));
    s.restart();
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    ASSERT_FALSE(s.error);
    EXPECT_EQ(s.log->vote().term.value, 2U);
    EXPECT_EQ(s.log->last_term().value, 1U);
    EXPECT_EQ(s.log->last_index().value, 40U);
    ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 1, 1)));
    EXPECT_EQ(s.log->last_term().value, 2U);
    std::vector<proto::Entry> entries;
    ASSERT_TRUE(s.sim.run_on(s.machine, read_all(&s, &entries)));
    ASSERT_EQ(entries.size(), 41U);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        EXPECT_EQ(entries[i].index(), i + 1);
        EXPECT_EQ(entries[i].payload(), s.calls[i]);
        EXPECT_EQ(entries[i].term(), i < 40 ? 1U : 2U);
    }
}

Task<void> drop_before(Scene* s, LogIndex index) {
    auto dropped = co_await s->log->drop_before(index);
    expect_ok(dropped);
}

TEST(RaftLog, DroppedFrontIsGoneForGood) {
    Scene s;
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 30, 3000)));
    ASSERT_TRUE(s.sim.run_on(s.machine, drop_before(&s, {31})));
    const auto first = s.log->first_index();
    EXPECT_GT(first.value, 10U);
    s.restart();
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    ASSERT_FALSE(s.error) << s.error->context;
    EXPECT_EQ(s.log->first_index(), first);
    EXPECT_EQ(s.log->last_index().value, 30U);
    EXPECT_EQ(s.log->last_term().value, 1U);
}

Task<void> check_follows(Scene* s, LogIndex index, std::uint64_t chain, Result<void>* out) {
    *out = co_await s->log->check_follows(index, chain);
}

TEST(RaftLog, KnowsAnEntryOfItsOwnByTheChain) {
    Scene s;
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 30, 3000)));
    std::vector<proto::Entry> entries;
    ASSERT_TRUE(s.sim.run_on(s.machine, read_all(&s, &entries)));
    ASSERT_TRUE(s.sim.run_on(s.machine, drop_before(&s, {31})));
    const std::uint64_t first = s.log->first_index().value;
    ASSERT_GT(first, 10U);
    const auto follows = [&s](std::uint64_t index, std::uint64_t chain) {
        Result<void> out;
        EXPECT_TRUE(s.sim.run_on(s.machine, check_follows(&s, {index}, chain, &out)));
        return out;
    };
    // The entry right before the oldest one kept is still vouched for; older ones are not known.
    for (std::uint64_t index = first - 1; index <= 30; ++index) {
        EXPECT_TRUE(follows(index, entries[index - 1].chain())) << index;
        const auto other = follows(index, entries[index - 1].chain() ^ 1);
        ASSERT_FALSE(other) << index;
        EXPECT_EQ(other.error().code, Code::kCorrupt);
    }
    EXPECT_TRUE(follows(first - 2, 1));
    EXPECT_FALSE(follows(31, 1));
}

Task<void> reset_to(Scene* s, Tail base) {
    auto done = co_await s->log->reset(base);
    EXPECT_TRUE(done.has_value());
}

TEST(RaftLog, FollowsASnapshotWithNothingBehindIt) {
    Scene s;
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 3, 100)));
    ASSERT_TRUE(s.sim.run_on(s.machine, reset_to(&s, {{10}, {1}, 7})));
    Result<void> out;
    ASSERT_TRUE(s.sim.run_on(s.machine, check_follows(&s, {10}, 7, &out)));
    EXPECT_TRUE(out.has_value());
    ASSERT_TRUE(s.sim.run_on(s.machine, check_follows(&s, {11}, 7, &out)));
    EXPECT_FALSE(out.has_value());
}

TEST(RaftLog, AFullDiskLeavesTheChainWhole) {
    Scene s;
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    s.machine.set_faults(DiskFaults{.capacity_bytes = 20 * base::kBlock});
    ASSERT_TRUE(s.sim.run_on(s.machine, append_together(&s, 6, 20, 2500)));
    EXPECT_GT(s.failures, 0);
    EXPECT_EQ(s.log->last_index().value, s.acknowledged);
    s.machine.set_faults(DiskFaults{});
    const int failures = s.failures;
    ASSERT_TRUE(s.sim.run_on(s.machine, append_together(&s, 6, 2, 2500)));
    EXPECT_EQ(s.failures, failures);
    EXPECT_EQ(s.log->last_index().value, s.acknowledged);
    s.restart();
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    ASSERT_FALSE(s.error) << s.error->context;
    EXPECT_EQ(s.log->last_index().value, s.acknowledged);
}

TEST(RaftLog, AMissingDamagedOrOldVoteIsRefused) {
    Scene s;
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 1, 1)));
    s.end();
    s.machine.flip_bit("raft/vote", 99);
    s.world = &s.machine.boot();
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    EXPECT_EQ(s.error->code, Code::kCorrupt);
    EXPECT_NE(s.error->context.find("under a new identity"), std::string::npos);
    s.end();
    s.machine.remove_file("raft/vote");
    s.world = &s.machine.boot();
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    EXPECT_EQ(s.error->code, Code::kCorrupt);
    EXPECT_NE(s.error->context.find("under a new identity"), std::string::npos);
}

Task<void> put_vote(Scene* s, std::uint64_t term) {
    auto stored = co_await store_vote(&s->world->disk, "raft/vote", Vote{{term}, node()});
    expect_ok(stored);
}

TEST(RaftLog, AVoteBehindTheLogIsRefused) {
    Scene s;
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    s.restart();
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));  // term 2
    ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 1, 1)));
    s.restart();
    ASSERT_TRUE(s.sim.run_on(s.machine, put_vote(&s, 1)));
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    EXPECT_EQ(s.error->code, Code::kCorrupt);
}

Task<void> open_or_rejoin(Scene* s, Tail base) {
    s->error.reset();
    auto opened = co_await Log::open_or_rejoin(s->world, "raft", kTiny, &s->metrics, base);
    if (opened) {
        s->log = std::move(*opened);
    } else {
        s->error = opened.error();
    }
}

// The first group of the first file, which is not the log's end.
void flip_in_the_middle(Scene& s) {
    s.end();
    s.machine.flip_bit("raft/log/0000000000000001.wal", 8 * base::kBlock + 17);
    s.world = &s.machine.boot();
}

TEST(RaftLog, ADamagedLogBeginsAnewAndTheVoteSaysSo) {
    Scene s;
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 10, 1000)));
    const Tail base{{4}, {1}, 99};
    s.restart();
    ASSERT_TRUE(s.sim.run_on(s.machine, open_or_rejoin(&s, base)));
    ASSERT_FALSE(s.error);
    EXPECT_EQ(s.log->last_index().value, 10U);  // nothing was wrong
    EXPECT_EQ(s.log->vote(), (Vote{{1}, node()}));
    flip_in_the_middle(s);
    ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
    EXPECT_EQ(s.error->code, Code::kCorrupt);
    s.restart();
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(s.sim.run_on(s.machine, open_or_rejoin(&s, base)));
        ASSERT_FALSE(s.error) << s.error->context;
        EXPECT_EQ(s.log->first_index().value, 5U);
        EXPECT_EQ(s.log->last_index().value, 4U);
        EXPECT_EQ(s.log->opened_terms().last(), (Position{{4}, {1}}));
        EXPECT_EQ(s.log->vote(), (Vote{{2}, {}, {2}}));
        s.restart();
    }
}

TEST(RaftLog, ADamagedLogWithoutItsVoteStaysRefused) {
    for (const bool is_missing : {true, false}) {
        Scene s;
        ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
        ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 10, 1000)));
        flip_in_the_middle(s);
        s.end();
        if (is_missing) {
            s.machine.remove_file("raft/vote");
        } else {
            s.machine.flip_bit("raft/vote", 99);
        }
        s.world = &s.machine.boot();
        ASSERT_TRUE(s.sim.run_on(s.machine, open_or_rejoin(&s, {{4}, {1}, 99})));
        ASSERT_TRUE(s.error);
        EXPECT_EQ(s.error->code, Code::kCorrupt);
        EXPECT_TRUE(s.machine.durable_content("raft/log/0000000000000001.wal"));
    }
}

TEST(RaftLog, ACrashWhileADamagedLogIsEmptiedIsNoLoss) {
    int crashes = 0;
    for (std::uint64_t io = 1; io <= 60; ++io) {
        Scene s(io);
        ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
        ASSERT_TRUE(s.sim.run_on(s.machine, append(&s, 20, 3000)));  // several files
        flip_in_the_middle(s);
        const Tail base{{4}, {1}, 99};
        s.machine.crash_at_io(io, [&s] { s.machine.crash([&s] { s.log.reset(); }); });
        if (s.sim.run_on(s.machine, open_or_rejoin(&s, base))) {
            s.machine.disarm_crash();
        } else {
            ++crashes;
        }
        s.restart();
        ASSERT_TRUE(s.sim.run_on(s.machine, open_or_rejoin(&s, base)));
        ASSERT_FALSE(s.error) << io << ": " << s.error->context;
        EXPECT_EQ(s.log->last_index().value, 4U) << io;
        EXPECT_GE(s.log->vote().term.value, 2U) << io;
        EXPECT_EQ(s.log->vote().rejoin, s.log->vote().term) << io;
        EXPECT_TRUE(s.log->vote().voted_for.is_zero()) << io;
    }
    EXPECT_GT(crashes, 20);
}

// Crashes anywhere, again and again: what was acknowledged is there in order, terms never repeat.
void crash_and_check(std::uint64_t seed, int* crashes) {
    Scene s(seed);
    std::uint64_t term = 0;
    std::vector<std::string> known;
    for (int i = 0; i < 6; ++i) {
        ASSERT_TRUE(s.sim.run_on(s.machine, open_log(&s)));
        ASSERT_FALSE(s.error) << s.error->context;
        ASSERT_GT(s.log->vote().term.value, term) << seed;
        term = s.log->vote().term.value;
        std::vector<proto::Entry> entries;
        ASSERT_TRUE(s.sim.run_on(s.machine, read_all(&s, &entries)));
        ASSERT_GE(entries.size(), s.acknowledged) << seed;
        known.insert(known.end(), s.calls.begin(), s.calls.end());
        ASSERT_LE(entries.size(), known.size()) << seed;
        known.resize(entries.size());
        for (std::size_t k = 0; k < known.size(); ++k) {
            ASSERT_EQ(entries[k].payload(), known[k]) << seed;
        }
        s.calls.clear();
        s.machine.crash_at_io(1 + s.sim.random().below(120),
                              [&s] { s.machine.crash([&s] { s.log.reset(); }); });
        if (s.sim.run_on(s.machine, append_together(&s, 4, 8, s.sim.random().below(4000)))) {
            s.machine.disarm_crash();
        } else {
            ++*crashes;
        }
        s.restart();
    }
}

TEST(RaftLog, CrashesAnywhere) {
    int crashes = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        crash_and_check(seed, &crashes);
        if (testing::Test::HasFatalFailure()) {
            return;
        }
    }
    EXPECT_GT(crashes, 100);
}

}  // namespace
}  // namespace hamster::raft
