#include "objects/incoming.h"

#include <gtest/gtest.h>

#include "objects/sim_node.h"

namespace hamster::objects {
namespace {

using runtime::Micros;
using runtime::Task;

base::NodeId peer_id(int n) {
    base::NodeId id;
    id.raw.fill(static_cast<std::byte>(n));
    return id;
}

shards::ShardId shard_id(int n) {
    shards::ShardId id;
    id.blob.raw.fill(static_cast<std::byte>(n));
    id.slot = base::Slot{2};
    return id;
}

std::string slice_of(std::uint32_t stripe, std::size_t size = 200'000) {
    return testing::pattern_text(stripe, {0, size});
}

VerifiedWrite write_of(int shard, std::uint32_t stripe, bool is_last, std::size_t size = 200'000) {
    return {{{shard_id(shard), stripe}, 0, is_last}, slice_of(stripe, size)};
}

struct Scene {
    runtime::World* world = nullptr;
    std::unique_ptr<shards::Store> store;
    std::unique_ptr<IncomingWrites> incoming;
    runtime::Gate gate;
    std::map<int, Result<void>> answers;

    Task<Code> put(VerifiedWrite write, int from = 1) {
        auto taken = co_await incoming->put(peer_id(from), std::move(write));
        co_return taken ? Code::kNotFound : taken.error().code;  // kNotFound: no error
    }
    static Task<void> put_later(Scene* scene, int number, VerifiedWrite write) {
        auto taken = co_await scene->incoming->put(peer_id(1), std::move(write));
        scene->answers[number] = std::move(taken);
    }
    void start(int number, VerifiedWrite write) {
        runtime::spawn(world->executor, gate, "put", put_later(this, number, std::move(write)));
    }
    Task<void> sleep(Micros time) { co_await world->clock.sleep(time); }
    // Every slice of a shard that is whole.
    Task<void> expect_shard(int shard, std::uint32_t slices, std::size_t size) {
        for (std::uint32_t stripe = 0; stripe < slices; ++stripe) {
            auto read = co_await store->read(shard_id(shard), stripe);
            EXPECT_TRUE(read.has_value());
            if (read) EXPECT_TRUE(base::as_text(read->bytes()) == slice_of(stripe, size));
        }
        auto beyond = co_await store->read(shard_id(shard), slices);
        EXPECT_EQ(beyond.error().code, Code::kNotFound);
    }
};

constexpr Code kTaken = Code::kNotFound;

void run(Task<void> (*body)(Scene*)) {
    runtime::sim::Simulator sim(3);
    auto& machine = sim.machine("a");
    Scene scene;
    base::Metrics metrics;
    struct Whole {
        static Task<void> run(Scene* scene, base::Metrics* metrics, Task<void> (*body)(Scene*)) {
            shards::Options options;
            options.segment_bytes = 16U << 20U;
            options.small_segment_bytes = 1U << 20U;
            auto opened = co_await shards::Store::open(scene->world, "shards", options, metrics);
            EXPECT_TRUE(opened.has_value());
            scene->store = std::move(*opened);
            scene->incoming = std::make_unique<IncomingWrites>(scene->world, scene->store.get());
            co_await body(scene);
            co_await scene->gate.close();
            co_await scene->store->stop();
        }
    };
    scene.world = &machine.boot();
    EXPECT_TRUE(sim.run_on(machine, Whole::run(&scene, &metrics, body)));
    machine.crash([&] {
        scene.incoming.reset();
        scene.store.reset();
    });
}

Task<void> in_order(Scene* scene) {
    for (std::uint32_t stripe = 0; stripe < 5; ++stripe) {
        const Code code = co_await scene->put(write_of(1, stripe, stripe == 4));
        EXPECT_EQ(code, kTaken);
    }
    const Code small = co_await scene->put(write_of(2, 0, true, 700));
    EXPECT_EQ(small, kTaken);
    const Code first = co_await scene->put(write_of(3, 0, false));
    EXPECT_EQ(first, kTaken);
    EXPECT_EQ(scene->incoming->size(), 1U);
    VerifiedWrite end{{{shard_id(3), 1}, 0, true}, ""};
    const Code ended = co_await scene->put(std::move(end));
    EXPECT_EQ(ended, kTaken);
    EXPECT_EQ(scene->incoming->size(), 0U);
    co_await scene->expect_shard(1, 5, 200'000);
    co_await scene->expect_shard(2, 1, 700);
    co_await scene->expect_shard(3, 1, 200'000);
}
TEST(Incoming, SlicesInOrderMakeAShard) { run(in_order); }

Task<void> overtaking(Scene* scene) {
    const Code begun = co_await scene->put(write_of(1, 0, false));
    EXPECT_EQ(begun, kTaken);
    scene->start(2, write_of(1, 2, false));
    scene->start(3, write_of(1, 3, true));
    scene->start(1, write_of(1, 1, false));
    co_await scene->sleep(std::chrono::seconds(1));
    for (int i = 1; i < 4; ++i) EXPECT_TRUE(scene->answers[i].has_value()) << i;
    EXPECT_EQ(scene->answers.size(), 3U);
    co_await scene->expect_shard(1, 4, 200'000);
}
TEST(Incoming, SlicesThatOvertakeEachOtherArePutInOrder) { run(overtaking); }

Task<void> conflicts(Scene* scene) {
    const Code unknown = co_await scene->put(write_of(1, 1, false));
    EXPECT_EQ(unknown, Code::kConflict) << "nothing was begun";
    const Code nothing = co_await scene->put({{{shard_id(1), 0}, 0, true}, ""});
    EXPECT_EQ(nothing, Code::kInvalid);
    const Code begun = co_await scene->put(write_of(1, 0, false));
    EXPECT_EQ(begun, kTaken);
    const Code repeated = co_await scene->put(write_of(1, 0, false));
    EXPECT_EQ(repeated, Code::kConflict);
    const Code far = co_await scene->put(write_of(1, 2 + IncomingWrites::kMaxAhead, false));
    EXPECT_EQ(far, Code::kConflict);
    const Code stranger = co_await scene->put(write_of(1, 1, false), 2);
    EXPECT_EQ(stranger, Code::kConflict) << "the write belongs to the node that began it";
    const Code next = co_await scene->put(write_of(1, 1, true));
    EXPECT_EQ(next, kTaken);
    const Code again = co_await scene->put(write_of(1, 0, true));
    EXPECT_EQ(again, Code::kAlreadyExists);
    EXPECT_EQ(scene->incoming->size(), 0U) << "an error of the store ends a write";
    co_await scene->expect_shard(1, 2, 200'000);
}
TEST(Incoming, WhatIsNotTheNextSliceIsAConflict) { run(conflicts); }

Task<void> silence(Scene* scene) {
    const Code begun = co_await scene->put(write_of(1, 0, false));
    EXPECT_EQ(begun, kTaken);
    const Code gap = co_await scene->put(write_of(2, 0, false));
    EXPECT_EQ(gap, kTaken);
    scene->start(1, write_of(2, 2, false));
    co_await scene->sleep(IncomingWrites::kGap - std::chrono::seconds(1));
    scene->incoming->sweep();
    EXPECT_TRUE(scene->answers.empty());
    co_await scene->sleep(std::chrono::seconds(2));
    scene->incoming->sweep();
    co_await scene->sleep(std::chrono::seconds(1));
    EXPECT_EQ(scene->answers[1].error().code, Code::kConflict) << "its predecessor never came";
    EXPECT_EQ(scene->incoming->size(), 1U);
    co_await scene->sleep(IncomingWrites::kIdle);
    scene->incoming->sweep();
    EXPECT_EQ(scene->incoming->size(), 0U);
    const Code late = co_await scene->put(write_of(1, 1, true));
    EXPECT_EQ(late, Code::kConflict);
    co_await scene->sleep(std::chrono::seconds(3));
    EXPECT_EQ(scene->store->stats().shards, 0U);
    const Code anew = co_await scene->put(write_of(1, 0, true));
    EXPECT_EQ(anew, kTaken);
}
TEST(Incoming, AWriteThatGoesSilentIsGivenUp) { run(silence); }

// Clients may be slow: the next slice comes when they have sent a whole stripe.
Task<void> kept(Scene* scene) {
    const Code begun = co_await scene->put(write_of(1, 0, false));
    EXPECT_EQ(begun, kTaken);
    for (int i = 0; i < 10; ++i) {
        co_await scene->sleep(IncomingWrites::kIdle - std::chrono::seconds(1));
        EXPECT_TRUE(scene->incoming->keep(peer_id(1), shard_id(1)));
        EXPECT_FALSE(scene->incoming->keep(peer_id(2), shard_id(1)));
        scene->incoming->sweep();
    }
    const Code next = co_await scene->put(write_of(1, 1, true));
    EXPECT_EQ(next, kTaken);
    EXPECT_FALSE(scene->incoming->keep(peer_id(1), shard_id(1)));
}
TEST(Incoming, AWriteIsKeptWhileItsWriterSaysSo) { run(kept); }

Task<void> abandon(Scene* scene) {
    const Code begun = co_await scene->put(write_of(1, 0, false));
    EXPECT_EQ(begun, kTaken);
    EXPECT_FALSE(scene->incoming->abandon(peer_id(2), shard_id(1)));
    EXPECT_TRUE(scene->incoming->abandon(peer_id(1), shard_id(1)));
    EXPECT_FALSE(scene->incoming->abandon(peer_id(1), shard_id(1)));
    const Code late = co_await scene->put(write_of(1, 1, true));
    EXPECT_EQ(late, Code::kConflict);
    // While the last slice is being written.
    const Code second = co_await scene->put(write_of(2, 0, false));
    EXPECT_EQ(second, kTaken);
    scene->start(1, write_of(2, 1, true));
    co_await runtime::yield();
    EXPECT_TRUE(scene->incoming->abandon(peer_id(1), shard_id(2)));
    co_await scene->sleep(std::chrono::seconds(3));
    EXPECT_EQ(scene->answers[1].error().code, Code::kConflict);
    EXPECT_EQ(scene->store->stats().shards, 0U);
}
TEST(Incoming, WhatIsAbandonedGoes) { run(abandon); }

Task<void> stopped(Scene* scene) {
    const Code first = co_await scene->put(write_of(1, 0, false));
    EXPECT_EQ(first, kTaken);
    scene->start(1, write_of(1, 2, false));
    co_await runtime::yield();
    scene->incoming->stop();
    co_await scene->sleep(std::chrono::seconds(1));
    EXPECT_EQ(scene->answers[1].error().code, Code::kConflict);
    EXPECT_EQ(scene->incoming->size(), 0U);
}
TEST(Incoming, NobodyWaitsForASliceWhenTheNodeStops) { run(stopped); }

Task<void> bounded(Scene* scene) {
    const std::string bytes = slice_of(0, 10);
    for (std::size_t i = 0; i < IncomingWrites::kMaxWrites; ++i) {
        VerifiedWrite write{{{shard_id(1), 0}, 0, false}, bytes};
        base::store_le64(write.write.address.shard.blob.raw.data(), i);
        const Code code = co_await scene->put(std::move(write));
        EXPECT_EQ(code, kTaken);
    }
    const Code refused = co_await scene->put(write_of(7, 0, false));
    EXPECT_EQ(refused, Code::kUnavailable);
}
TEST(Incoming, TooManyWritesAreRefused) { run(bounded); }

}  // namespace
}  // namespace hamster::objects
