#include "objects/service.h"

#include <gtest/gtest.h>

#include "objects/sim_node.h"

namespace hamster::objects {
namespace {

using runtime::Micros;
using runtime::Task;
using runtime::sim::Simulator;
using testing::kGraceMs;
using testing::pattern_text;
using testing::PatternSource;
using testing::SimNode;

// Rounds happen when a test asks.
Options quiet() {
    Options options;
    options.gc_grace_ms = kGraceMs;
    options.orphan_grace_ms = kGraceMs;
    options.reconcile_interval_ms = 1'000'000'000;
    return options;
}

using Body = Task<void> (*)(SimNode* node);

void on_node(std::uint64_t seed, Options options, Body body) {
    Simulator sim(seed);
    auto& machine = sim.machine("a");
    auto node = std::make_unique<SimNode>(&machine.boot(), options);
    struct Whole {
        static Task<void> run(SimNode* node, Body body) {
            const bool opened = co_await node->open();
            EXPECT_TRUE(opened);
            co_await body(node);
            co_await node->close();
        }
    };
    EXPECT_TRUE(sim.run_on(machine, Whole::run(node.get(), body)));
    machine.crash([&] { node.reset(); });
}

Task<void> sleep_ms(SimNode* node, std::uint64_t ms) {
    co_await node->world->clock.sleep(Micros(static_cast<std::int64_t>(ms * 1000)));
}

constexpr std::uint64_t kLocalSizes[] = {
    0, 1, 4095, 4096, 131071, 131072, 131073, 262143, 262144, 262145, 524288, 1'000'003, 3U << 20U};

Task<void> put_and_get_every_size(SimNode* node) {
    std::uint64_t seed = 1;
    for (const std::uint64_t size : kLocalSizes) {
        // Announced, unknown, and announced wrongly in both directions.
        for (const std::optional<std::uint64_t> hint :
             {std::optional(size), std::optional<std::uint64_t>(), std::optional<std::uint64_t>(3),
              std::optional<std::uint64_t>(10U << 20U)}) {
            ++seed;
            auto body = co_await node->store(seed, size, hint);
            EXPECT_TRUE(body.has_value());
            if (!body) co_return;
            EXPECT_EQ(body->size, size);
            EXPECT_EQ(body->blob.has_value(), size > 0);
            std::vector<StoredBody> bodies;
            bodies.push_back(std::move(*body));
            auto committed = co_await node->commit("key", std::move(bodies));
            EXPECT_TRUE(committed.has_value());
            auto text = co_await node->get("key", std::nullopt);
            EXPECT_TRUE(text.has_value());
            EXPECT_TRUE(text == pattern_text(seed, {0, size})) << size;
        }
    }
}
TEST(Service, BodiesOfEverySizeComeBack) { on_node(1, quiet(), put_and_get_every_size); }

Task<void> read_ranges_of_parts(SimNode* node) {
    const std::vector<std::uint64_t> sizes{300'000, 5, 0, 800'000, 131'072};
    std::vector<StoredBody> bodies;
    std::string whole;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        auto body = co_await node->store(i, sizes[i], sizes[i]);
        EXPECT_TRUE(body.has_value());
        bodies.push_back(std::move(*body));
        whole += pattern_text(i, {0, sizes[i]});
    }
    auto committed = co_await node->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t offset = node->world->random.below(whole.size());
        const std::uint64_t length = 1 + node->world->random.below(whole.size() - offset);
        auto text = co_await node->get("key", ByteRange{offset, length});
        EXPECT_TRUE(text.has_value());
        EXPECT_TRUE(text == whole.substr(offset, length)) << offset << "+" << length;
    }
    auto outside = co_await node->get("key", ByteRange{whole.size(), 1});
    EXPECT_EQ(outside.error().code, Code::kInvalid);
}
TEST(Service, RangesOfMultipartBodies) { on_node(2, quiet(), read_ranges_of_parts); }

Task<void> break_bodies(SimNode* node) {
    for (const std::uint64_t size : kLocalSizes) {
        PatternSource source(size, size, true);
        auto stored = co_await node->objects->store(&source, size);
        EXPECT_EQ(stored.error().code, Code::kInvalid);
        EXPECT_EQ(stored.error().context, "the checksum is wrong");
    }
    EXPECT_EQ(node->shards->stats().shards, 0U);
    auto listed = node->shards->list(std::nullopt, 10);
    EXPECT_TRUE(listed.has_value() && listed->empty());
}
TEST(Service, ABodyThatFailsVerificationIsNeverStored) { on_node(3, quiet(), break_bodies); }

Task<bool> is_stored(SimNode* node, StoredBody body) {
    const auto id = base::BlobId::from_bytes(body.blob->blob_id());
    const auto found = node->shards->find({*id, base::Slot{0}});
    EXPECT_TRUE(found.has_value());
    co_return found->has_value();
}

Task<void> garbage_waits_for_grace(SimNode* node) {
    auto put = co_await node->put("key", 1, 500'000);
    EXPECT_TRUE(put.has_value());
    auto erased = co_await node->erase("key");
    EXPECT_TRUE(erased.has_value());
    co_await sleep_ms(node, kGraceMs - 2000);
    co_await node->objects->reconcile_once();
    EXPECT_EQ(node->shards->stats().shards, 1U);
    co_await sleep_ms(node, 3000);
    co_await node->objects->reconcile_once();
    EXPECT_EQ(node->shards->stats().shards, 0U);
    auto viewed = co_await node->group->view();
    const auto rows = viewed->garbage(std::nullopt, 10);
    EXPECT_TRUE(rows.has_value() && rows->empty());
}
TEST(Service, GarbageIsCollectedAfterItsGraceAndNotBefore) {
    on_node(4, quiet(), garbage_waits_for_grace);
}

Task<void> fill_and_delete(SimNode* node) {
    std::uint64_t stored = 0;
    while (!node->objects->is_full() && stored < 200) {
        auto put = co_await node->put("key" + std::to_string(stored), stored, 3U << 20U);
        if (put) ++stored;
        if (!put) break;
    }
    EXPECT_TRUE(node->objects->is_full());
    EXPECT_GT(stored, 3U);
    auto opened = co_await node->open_object("key1", std::nullopt);
    EXPECT_TRUE(opened.has_value());
    for (const char* key : {"key0", "key1"}) {
        auto erased = co_await node->erase(key);
        EXPECT_TRUE(erased.has_value());
    }
    const std::uint64_t before = node->shards->stats().shards;
    co_await sleep_ms(node, 2000);
    co_await node->objects->reconcile_once();
    EXPECT_EQ(node->shards->stats().shards, before);
    co_await sleep_ms(node, 4000);
    co_await node->objects->reconcile_once();
    EXPECT_EQ(node->shards->stats().shards, before - 1) << "all but what a reader has open";
    EXPECT_TRUE(opened.has_value());
}
TEST(Service, AFullDiskShortensTheGrace) {
    Simulator sim(6);
    auto& machine = sim.machine("a");
    auto node = std::make_unique<SimNode>(&machine.boot(), quiet());
    machine.set_faults({.capacity_bytes = 96U << 20U});
    node->reserve_bytes = 32U << 20U;
    struct Whole {
        static Task<void> run(SimNode* node) {
            const bool opened = co_await node->open();
            EXPECT_TRUE(opened);
            co_await fill_and_delete(node);
            co_await node->close();
        }
    };
    EXPECT_TRUE(sim.run_on(machine, Whole::run(node.get())));
    machine.crash([&] { node.reset(); });
}

Task<void> garbage_waits_for_readers(SimNode* node) {
    const std::uint64_t size = 4U << 20U;
    auto put = co_await node->put("key", 1, size);
    EXPECT_TRUE(put.has_value());
    auto opened = co_await node->open_object("key", std::nullopt);
    EXPECT_TRUE(opened.has_value());
    std::unique_ptr<BodyReader> reader = std::move(*opened);
    auto erased = co_await node->erase("key");
    EXPECT_TRUE(erased.has_value());
    co_await sleep_ms(node, 10 * kGraceMs);
    co_await node->objects->reconcile_once();
    std::string text;
    while (true) {
        auto next = co_await reader->next();
        EXPECT_TRUE(next.has_value());
        if (!next || next->empty()) break;
        text += base::as_text(next->bytes());
    }
    EXPECT_TRUE(text == pattern_text(1, {0, size}));
    reader.reset();
    co_await sleep_ms(node, 1000);
    co_await node->objects->reconcile_once();
    EXPECT_EQ(node->shards->stats().shards, 0U);
}
TEST(Service, GarbageIsNotCollectedWhileAReaderHasItOpen) {
    on_node(5, quiet(), garbage_waits_for_readers);
}

Task<void> readers_may_leave_early(SimNode* node) {
    auto put = co_await node->put("key", 1, 4U << 20U);
    EXPECT_TRUE(put.has_value());
    for (int i = 0; i < 20; ++i) {
        auto opened = co_await node->open_object("key", std::nullopt);
        EXPECT_TRUE(opened.has_value());
        for (int n = 0; n < i % 4; ++n) {
            auto next = co_await (*opened)->next();
            EXPECT_TRUE(next.has_value());
        }
        opened->reset();  // with read-ahead under way
    }
    co_await sleep_ms(node, 1000);
    EXPECT_EQ(node->metrics.render().find("hamster_body_memory_bytes 0\n") == std::string::npos,
              false);
    EXPECT_EQ(node->metrics.render().find("hamster_pinned_blobs 0\n") == std::string::npos, false);
}
TEST(Service, AReaderThatLeavesEarlyGivesEverythingBack) {
    on_node(6, quiet(), readers_may_leave_early);
}

Task<void> orphans_go(SimNode* node) {
    auto kept = co_await node->put("kept", 1, 1000);
    EXPECT_TRUE(kept.has_value());
    auto small = co_await node->store(2, 1000, 1000U);
    auto large = co_await node->store(3, 900'000, 900'000U);
    auto discarded = co_await node->store(4, 900'000, 900'000U);
    EXPECT_TRUE(small && large && discarded);
    co_await node->objects->discard(std::move(*discarded));
    EXPECT_EQ(node->shards->stats().shards, 3U);
    co_await node->objects->reconcile_once();
    const bool young = co_await is_stored(node, *small);
    EXPECT_TRUE(young);
    co_await sleep_ms(node, kGraceMs + 1000);
    co_await node->objects->reconcile_once();
    EXPECT_EQ(node->shards->stats().shards, 1U);
    auto text = co_await node->get("kept", std::nullopt);
    EXPECT_TRUE(text == pattern_text(1, {0, 1000}));
}
TEST(Service, OrphansAreCollectedAfterTheirGrace) { on_node(7, quiet(), orphans_go); }

// While a body is on its way between its node and its commit, the node's clock is put right.
Task<void> put_a_clock_right(SimNode* node, runtime::sim::Machine* machine) {
    auto before = co_await node->put("before", 1, 1000);
    EXPECT_TRUE(before.has_value());
    machine->set_clock_offset_ms(-315'000'000'000);
    auto body = co_await node->store(2, 1000, 1000U);
    EXPECT_TRUE(body.has_value());
    machine->set_clock_offset_ms(0);
    for (int round = 0; round < 3; ++round) {
        co_await node->objects->reconcile_once();
        co_await sleep_ms(node, kGraceMs / 4);
    }
    std::vector<StoredBody> bodies;
    bodies.push_back(std::move(*body));
    auto committed = co_await node->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    co_await sleep_ms(node, 2 * kGraceMs);
    co_await node->objects->reconcile_once();
    auto text = co_await node->get("key", std::nullopt);
    EXPECT_TRUE(text == pattern_text(2, {0, 1000}));
}
TEST(Service, AClockThatIsPutRightMakesNothingAnOrphan) {
    Simulator sim(9);
    auto& machine = sim.machine("a");
    auto node = std::make_unique<SimNode>(&machine.boot(), quiet());
    struct Whole {
        static Task<void> run(SimNode* node, runtime::sim::Machine* machine) {
            const bool opened = co_await node->open();
            EXPECT_TRUE(opened);
            co_await put_a_clock_right(node, machine);
            co_await node->close();
        }
    };
    EXPECT_TRUE(sim.run_on(machine, Whole::run(node.get(), &machine)));
    machine.crash([&] { node.reset(); });
}

Task<void> exhaust_memory(SimNode* node) {
    auto put = co_await node->put("key", 1, 1U << 20U);
    EXPECT_TRUE(put.has_value());
    std::vector<std::unique_ptr<BodyReader>> readers;
    Code refused = Code::kConflict;
    for (int i = 0; i < 64; ++i) {
        auto opened = co_await node->open_object("key", std::nullopt);
        if (!opened) {
            refused = opened.error().code;
            break;
        }
        readers.push_back(std::move(*opened));
    }
    EXPECT_EQ(refused, Code::kUnavailable);
    EXPECT_EQ(readers.size(), 16U);  // 4 MiB of slices
    for (auto& reader : readers) {   // without room to read ahead, but complete
        std::string text;
        while (true) {
            auto next = co_await reader->next();
            EXPECT_TRUE(next.has_value());
            if (!next || next->empty()) break;
            text += base::as_text(next->bytes());
        }
        EXPECT_TRUE(text == pattern_text(1, {0, 1U << 20U}));
    }
    readers.clear();
    auto again = co_await node->put("key", 2, 1U << 20U);
    EXPECT_TRUE(again.has_value());
}
TEST(Service, BodyMemoryIsBounded) {
    Options options = quiet();
    options.body_memory_bytes = 4U << 20U;
    on_node(8, options, exhaust_memory);
}

}  // namespace
}  // namespace hamster::objects
