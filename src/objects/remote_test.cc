// Two nodes over one group: objects read from the node that does not hold them.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "objects/exchange.h"
#include "objects/pins.h"
#include "objects/sim_node.h"

namespace hamster::objects {
namespace {

using runtime::Micros;
using runtime::Task;
using runtime::sim::Simulator;
using testing::pattern_text;
using testing::SimNode;

constexpr std::uint64_t kGraceMs = 60'000;
constexpr std::uint64_t kKeptMs = 60'000;

base::NodeId node_id(int n) {
    base::NodeId id;
    id.raw.fill(static_cast<std::byte>(0xA0 + n));
    return id;
}

// The network between the nodes of a scene.
class FakeRemote final : public Remote {
  public:
    Task<Result<std::string>> call(base::NodeId holder, RemoteMethod what,
                                   std::string payload) override {
        ++calls[what];
        if (reads_left-- <= 0 && what == RemoteMethod::kReadSlice) co_return fail(trouble, "no");
        if (!hears_keeps && what == RemoteMethod::kKeep) co_return fail(Code::kTimeout, "no");
        const auto found = nodes.find(holder);
        if (found == nodes.end()) co_return fail(Code::kUnavailable, "nobody there");
        SimNode* const node = found->second;
        auto answer = co_await runtime::run_on(node->world->executor,
                                               node->objects->serve(what, std::move(payload)));
        if (answer && tamper && what == RemoteMethod::kReadSlice) tamper(*answer);
        co_return answer;
    }

    std::map<base::NodeId, SimNode*> nodes;
    std::map<RemoteMethod, int> calls;
    std::int64_t reads_left = INT64_MAX;
    bool hears_keeps = true;
    Code trouble = Code::kUnavailable;
    std::function<void(std::string&)> tamper;
};

// Node a founded the cluster and has the group.
struct Scene {
    std::uint64_t grace_ms = kGraceMs;
    FakeRemote remote;
    std::unique_ptr<SimNode> a;
    std::unique_ptr<SimNode> b;

    Options options(int n) {
        Options made;
        made.gc_grace_ms = grace_ms;
        made.orphan_grace_ms = grace_ms;
        made.reconcile_interval_ms = 1'000'000'000;
        made.self = node_id(n);
        made.founder = node_id(0);
        made.remote = &remote;
        return made;
    }
    Task<void> sleep_ms(std::uint64_t ms) {
        co_await a->world->clock.sleep(Micros(static_cast<std::int64_t>(ms * 1000)));
    }
};

using Body = Task<void> (*)(Scene* scene);

Task<void> on_b(SimNode* b, SimNode* a) {
    b->group = a->group;
    const bool opened = co_await b->open();
    EXPECT_TRUE(opened);
}
Task<void> close(SimNode* node) { co_await node->close(); }

// The body runs on the loop of node a; what it asks of b runs there too, as on one of b's loops.
void run_scene(std::uint64_t seed, std::uint64_t grace_ms, Body body) {
    Simulator sim(seed);
    auto& machine_a = sim.machine("a");
    auto& machine_b = sim.machine("b");
    Scene scene;
    scene.grace_ms = grace_ms;
    scene.a = std::make_unique<SimNode>(&machine_a.boot(), scene.options(0));
    scene.b = std::make_unique<SimNode>(&machine_b.boot(), scene.options(1));
    scene.remote.nodes = {{node_id(0), scene.a.get()}, {node_id(1), scene.b.get()}};
    struct Start {
        static Task<void> run(SimNode* a) {
            const bool opened = co_await a->open();
            EXPECT_TRUE(opened);
        }
    };
    EXPECT_TRUE(sim.run_on(machine_a, Start::run(scene.a.get())));
    EXPECT_TRUE(sim.run_on(machine_b, on_b(scene.b.get(), scene.a.get())));
    EXPECT_TRUE(sim.run_on(machine_b, body(&scene)));
    EXPECT_TRUE(sim.run_on(machine_b, close(scene.b.get())));
    EXPECT_TRUE(sim.run_on(machine_a, close(scene.a.get())));
    machine_b.crash([&] { scene.b.reset(); });
    machine_a.crash([&] { scene.a.reset(); });
}

Task<Result<void>> put_on(SimNode* node, std::string key, std::uint64_t seed, std::uint64_t size) {
    auto put =
        co_await runtime::run_on(node->world->executor, node->put(std::move(key), seed, size));
    co_return put;
}
Task<Result<StoredBody>> store_on(SimNode* node, std::uint64_t seed, std::uint64_t size) {
    auto stored = co_await runtime::run_on(node->world->executor, node->store(seed, size, size));
    co_return stored;
}
Task<Result<std::string>> get_on(SimNode* node, std::string key, std::optional<ByteRange> range) {
    auto text = co_await runtime::run_on(node->world->executor, node->get(std::move(key), range));
    co_return text;
}
Task<void> erase(Scene* scene, std::string key) {
    auto erased = co_await runtime::run_on(scene->a->world->executor, scene->a->erase(key));
    EXPECT_TRUE(erased.has_value());
}
Task<void> reconcile(SimNode* node) {
    co_await runtime::run_on(node->world->executor, node->objects->reconcile_once());
}
std::size_t garbage_rows(const meta::View& view) { return view.garbage(std::nullopt, 100)->size(); }
Task<std::size_t> garbage_of(Scene* scene) {
    auto viewed = co_await scene->a->group->view();
    co_return garbage_rows(*viewed);
}

constexpr std::uint64_t kSizes[] = {0, 1, 4095, 131072, 131073, 262144, 262145, 524288, 1'000'003};

Task<void> every_size(Scene* scene) {
    std::uint64_t seed = 0;
    for (const std::uint64_t size : kSizes) {
        for (SimNode* writer : {scene->a.get(), scene->b.get()}) {
            ++seed;
            auto put = co_await put_on(writer, "key", seed, size);
            EXPECT_TRUE(put.has_value());
            for (SimNode* reader : {scene->a.get(), scene->b.get()}) {
                auto text = co_await get_on(reader, "key", std::nullopt);
                EXPECT_TRUE(text.has_value());
                EXPECT_TRUE(text == pattern_text(seed, {0, size})) << size;
            }
        }
    }
    EXPECT_GT(scene->remote.calls[RemoteMethod::kReadSlice], 0);
    EXPECT_GT(scene->a->shards->stats().shards, 0U);
    EXPECT_GT(scene->b->shards->stats().shards, 0U);
}
TEST(Remote, BodiesOfEverySizeFromEveryNode) { run_scene(1, kGraceMs, every_size); }

Task<void> ranges_of_mixed_parts(Scene* scene) {
    const std::vector<std::uint64_t> sizes{300'000, 5, 0, 800'000, 131'072};
    std::vector<StoredBody> bodies;
    std::string whole;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        SimNode* const holder = i % 2 == 0 ? scene->a.get() : scene->b.get();
        auto body = co_await store_on(holder, i, sizes[i]);
        EXPECT_TRUE(body.has_value());
        bodies.push_back(std::move(*body));
        whole += pattern_text(i, {0, sizes[i]});
    }
    auto committed = co_await scene->b->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t offset = scene->b->world->random.below(whole.size());
        const std::uint64_t length = 1 + scene->b->world->random.below(whole.size() - offset);
        SimNode* const reader = i % 2 == 0 ? scene->a.get() : scene->b.get();
        auto text = co_await get_on(reader, "key", ByteRange{offset, length});
        EXPECT_TRUE(text.has_value());
        EXPECT_TRUE(text == whole.substr(offset, length)) << offset << "+" << length;
    }
}
TEST(Remote, RangesOfPartsOnDifferentNodes) { run_scene(2, kGraceMs, ranges_of_mixed_parts); }

// Blobs from before there were other nodes name nobody.
Task<void> of_the_founder(Scene* scene) {
    auto body = co_await store_on(scene->a.get(), 1, 500'000);
    EXPECT_TRUE(body.has_value());
    EXPECT_EQ(body->blob->geometry().holder(), node_id(0).view());
    body->blob->mutable_geometry()->clear_holder();
    std::vector<StoredBody> bodies;
    bodies.push_back(std::move(*body));
    auto committed = co_await scene->b->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    for (SimNode* reader : {scene->a.get(), scene->b.get()}) {
        auto text = co_await get_on(reader, "key", std::nullopt);
        EXPECT_TRUE(text == pattern_text(1, {0, 500'000}));
    }
    co_await erase(scene, "key");
    co_await scene->sleep_ms(3 * kGraceMs);
    co_await reconcile(scene->b.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 1U);
    co_await reconcile(scene->a.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 0U);
}
TEST(Remote, ABlobWithoutHolderIsTheFounders) { run_scene(3, kGraceMs, of_the_founder); }

Task<void> wrong_answers(Scene* scene) {
    auto put = co_await put_on(scene->a.get(), "key", 1, 600'000);
    EXPECT_TRUE(put.has_value());
    std::string earlier;
    scene->remote.tamper = [&](std::string& answer) { earlier = answer; };
    auto right = co_await get_on(scene->b.get(), "key", ByteRange{0, 10});
    EXPECT_TRUE(right.has_value());
    const std::function<void(std::string&)> ways[] = {
        [](std::string& answer) { answer[0] ^= 1; },
        [](std::string& answer) { answer[kAnswerHeadBytes] ^= 1; },
        [](std::string& answer) { answer.back() ^= 1; },
        [](std::string& answer) { answer.pop_back(); },
        [](std::string& answer) { answer += 'x'; },
        [](std::string& answer) { answer.clear(); },
        [&](std::string& answer) { answer = earlier; },
    };
    for (const auto& way : ways) {
        scene->remote.tamper = way;
        auto text = co_await get_on(scene->b.get(), "key", ByteRange{300'000, 100});
        EXPECT_FALSE(text.has_value());
        if (text) continue;
        EXPECT_EQ(text.error().code, Code::kCorrupt);
        EXPECT_NE(text.error().context.find(node_id(0).hex()), std::string::npos);
    }
    scene->remote.tamper = nullptr;
    auto text = co_await get_on(scene->b.get(), "key", std::nullopt);
    EXPECT_TRUE(text == pattern_text(1, {0, 600'000}));
}
TEST(Remote, WrongAnswersAreNeverSentOn) { run_scene(4, kGraceMs, wrong_answers); }

Task<void> lose_the_shard(Scene* scene) {
    auto body = co_await store_on(scene->a.get(), 1, 1000);
    EXPECT_TRUE(body.has_value());
    std::vector<shards::ShardId> ids;
    ids.push_back({*base::BlobId::from_bytes(body->blob->blob_id()), base::Slot{0}});
    std::vector<StoredBody> bodies;
    bodies.push_back(std::move(*body));
    auto committed = co_await scene->b->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    auto removed = co_await runtime::run_on(scene->a->world->executor,
                                            scene->a->shards->remove(std::move(ids)));
    EXPECT_TRUE(removed.has_value());
    auto text = co_await get_on(scene->b.get(), "key", std::nullopt);
    EXPECT_EQ(text.error().code, Code::kCorrupt);
}
TEST(Remote, ASliceThatItsHolderHasLostIsCorrupt) { run_scene(5, kGraceMs, lose_the_shard); }

Task<void> out_of_reach(Scene* scene) {
    const std::uint64_t size = 4U << 20U;
    auto put = co_await put_on(scene->a.get(), "key", 1, size);
    EXPECT_TRUE(put.has_value());
    for (const Code trouble : {Code::kUnavailable, Code::kTimeout, Code::kClosed, Code::kDenied,
                               Code::kUnknownOutcome, Code::kUnsupported}) {
        scene->remote.trouble = trouble;
        scene->remote.reads_left = 0;
        auto opened = co_await scene->b->open_object("key", std::nullopt);
        EXPECT_EQ(opened.error().code, Code::kUnavailable);
        EXPECT_NE(opened.error().context.find(node_id(0).hex()), std::string::npos);
        scene->remote.reads_left = 6;  // in mid-body
        auto reopened = co_await scene->b->open_object("key", std::nullopt);
        EXPECT_TRUE(reopened.has_value());
        std::size_t slices = 0;
        while (true) {
            auto next = co_await (*reopened)->next();
            if (!next) {
                EXPECT_EQ(next.error().code, Code::kUnavailable);
                break;
            }
            EXPECT_FALSE(next->empty());
            if (next->empty()) break;
            ++slices;
        }
        EXPECT_TRUE(slices >= 1 && slices <= 6) << slices;
        auto again = co_await (*reopened)->next();
        EXPECT_FALSE(again.has_value());
    }
    scene->remote.reads_left = INT64_MAX;
    scene->remote.nodes.erase(node_id(1));
    auto mine = co_await put_on(scene->b.get(), "mine", 2, 1000);
    EXPECT_TRUE(mine.has_value());
    auto there = co_await get_on(scene->a.get(), "mine", std::nullopt);
    EXPECT_EQ(there.error().code, Code::kUnavailable);
    auto here = co_await get_on(scene->b.get(), "mine", std::nullopt);
    EXPECT_TRUE(here.has_value());
}
TEST(Remote, AHolderOutOfReachIsUnavailable) { run_scene(6, kGraceMs, out_of_reach); }

Task<void> collected_by_the_holder(Scene* scene) {
    auto put = co_await put_on(scene->a.get(), "key", 1, 500'000);
    EXPECT_TRUE(put.has_value());
    co_await erase(scene, "key");
    co_await scene->sleep_ms(3 * kGraceMs);
    co_await reconcile(scene->b.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 1U);
    std::size_t rows = co_await garbage_of(scene);
    EXPECT_EQ(rows, 1U) << "only the holder drops the row";
    co_await reconcile(scene->a.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 0U);
    rows = co_await garbage_of(scene);
    EXPECT_EQ(rows, 0U);
}
TEST(Remote, OnlyTheHolderCollects) { run_scene(7, kGraceMs, collected_by_the_holder); }

Task<void> orphans_stay_local(Scene* scene) {
    auto on_a = co_await store_on(scene->a.get(), 1, 1000);
    auto on_b = co_await store_on(scene->b.get(), 2, 1000);
    EXPECT_TRUE(on_a && on_b);
    co_await reconcile(scene->b.get());
    co_await scene->sleep_ms(kGraceMs + 1000);
    co_await reconcile(scene->b.get());
    EXPECT_EQ(scene->b->shards->stats().shards, 0U);
    EXPECT_EQ(scene->a->shards->stats().shards, 1U);
}
TEST(Remote, OrphansAreALocalMatter) { run_scene(8, kGraceMs, orphans_stay_local); }

// The garbage grace is one second here: what keeps the blobs is that the holder knows of readers.
Task<void> a_slow_reader(Scene* scene) {
    const std::uint64_t size = 4U << 20U;
    co_await scene->sleep_ms(kKeptMs + 1000);  // the holder's first minute
    auto put = co_await put_on(scene->a.get(), "key", 1, size);
    EXPECT_TRUE(put.has_value());
    auto opened = co_await scene->b->open_object("key", std::nullopt);
    EXPECT_TRUE(opened.has_value());
    std::unique_ptr<BodyReader> reader = std::move(*opened);
    co_await erase(scene, "key");
    for (int i = 0; i < 30; ++i) {
        co_await scene->sleep_ms(20'000);
        co_await reconcile(scene->a.get());
    }
    EXPECT_GT(scene->remote.calls[RemoteMethod::kKeep], 20);
    std::string text;
    while (true) {
        auto next = co_await reader->next();
        EXPECT_TRUE(next.has_value());
        if (!next || next->empty()) break;
        text += base::as_text(next->bytes());
    }
    EXPECT_TRUE(text == pattern_text(1, {0, size}));
    reader.reset();
    co_await scene->sleep_ms(1000);
    scene->remote.calls.clear();
    co_await scene->sleep_ms(3 * kKeptMs);
    EXPECT_EQ(scene->remote.calls[RemoteMethod::kKeep], 0) << "nothing is read any more";
    co_await reconcile(scene->a.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 0U);
}
TEST(Remote, WhatAnotherNodeReadsIsKept) { run_scene(9, 1000, a_slow_reader); }

Task<void> without_keeps(Scene* scene) {
    co_await scene->sleep_ms(kKeptMs + 1000);
    scene->remote.hears_keeps = false;
    auto put = co_await put_on(scene->a.get(), "key", 1, 500'000);
    EXPECT_TRUE(put.has_value());
    auto opened = co_await scene->b->open_object("key", std::nullopt);
    EXPECT_TRUE(opened.has_value());
    co_await erase(scene, "key");
    co_await scene->sleep_ms(kKeptMs - 2000);
    co_await reconcile(scene->a.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 1U) << "it was read within the minute";
    co_await scene->sleep_ms(kKeptMs + 3000);
    co_await reconcile(scene->a.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 0U) << "a reader that is cut off is forgotten";
}
TEST(Remote, AReadAloneKeepsForAMinute) { run_scene(10, 1000, without_keeps); }

Task<void> first_minute(Scene* scene) {
    auto put = co_await put_on(scene->a.get(), "key", 1, 1000);
    EXPECT_TRUE(put.has_value());
    co_await erase(scene, "key");
    co_await scene->sleep_ms(kKeptMs - 5000);
    co_await reconcile(scene->a.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 1U);
    co_await scene->sleep_ms(6000);
    co_await reconcile(scene->a.get());
    EXPECT_EQ(scene->a->shards->stats().shards, 0U);
}
TEST(Remote, AHolderCollectsNothingBeforeReadersHadTimeToSpeakUp) {
    run_scene(11, 1000, first_minute);
}

Task<void> bad_requests(Scene* scene) {
    Service* const service = scene->b->objects.get();
    auto unknown = co_await service->serve(RemoteMethod{99}, "");
    EXPECT_EQ(unknown.error().code, Code::kUnsupported);
    auto empty = co_await service->serve(RemoteMethod::kReadSlice, "");
    EXPECT_EQ(empty.error().code, Code::kInvalid);
    auto garbage = co_await service->serve(RemoteMethod::kKeep, "\x0a\x7f");
    EXPECT_EQ(garbage.error().code, Code::kInvalid);
    auto absent = co_await service->serve(RemoteMethod::kReadSlice, encode_read({}));
    EXPECT_EQ(absent.error().code, Code::kNotFound);
    auto endless =
        co_await service->serve(RemoteMethod::kKeep, std::string(kMaxRequestBytes + 1, '\0'));
    EXPECT_EQ(endless.error().code, Code::kTooLarge);
}
TEST(Remote, BadRequestsAreRefused) { run_scene(12, kGraceMs, bad_requests); }

base::BlobId blob_id(std::uint64_t n) {
    base::BlobId id;
    base::store_le64(id.raw.data(), n);
    base::store_le64(id.raw.data() + 8, n);
    return id;
}

TEST(KeptTable, ForgetsAfterOneToTwoPeriods) {
    const runtime::Time start{5};
    const Micros second = std::chrono::seconds(1);
    for (int at = 0; at < 200; at += 7) {
        KeptTable table(start, false);
        EXPECT_FALSE(table.is_kept(blob_id(1), start));
        table.keep({blob_id(1)}, start + at * second);
        for (int later = at; later < at + 60; later += 3) {
            EXPECT_TRUE(table.is_kept(blob_id(1), start + later * second)) << at << " " << later;
            EXPECT_FALSE(table.is_kept(blob_id(2), start + later * second));
        }
        EXPECT_FALSE(table.is_kept(blob_id(1), start + (at + 120) * second)) << at;
    }
    KeptTable renewed(start, false);
    for (int at = 0; at < 1000; at += 20) {
        renewed.keep({blob_id(1)}, start + at * second);
        EXPECT_TRUE(renewed.is_kept(blob_id(1), start + (at + 19) * second));
    }
    EXPECT_FALSE(renewed.is_kept(blob_id(1), start + 100'000 * second));
}

TEST(KeptTable, KeepsEverythingAtFirstAndWhenItIsFull) {
    const runtime::Time start{0};
    const Micros second = std::chrono::seconds(1);
    KeptTable table(start, true);
    EXPECT_TRUE(table.is_kept(blob_id(1), start + 59 * second));
    EXPECT_FALSE(table.is_kept(blob_id(1), start + 60 * second));
    std::vector<base::BlobId> blobs;
    blobs.reserve(KeptTable::kMaxBlobs);
    for (std::uint64_t i = 0; i < KeptTable::kMaxBlobs; ++i) blobs.push_back(blob_id(i));
    table.keep(blobs, start + 60 * second);
    table.keep(blobs, start + 61 * second);  // the same ones: no overflow
    const base::BlobId beyond = blob_id(KeptTable::kMaxBlobs);
    EXPECT_FALSE(table.is_kept(beyond, start + 62 * second));
    table.keep({beyond}, start + 62 * second);
    EXPECT_TRUE(table.is_kept(beyond, start + 63 * second));
    EXPECT_TRUE(table.is_kept(beyond, start + 122 * second));
    EXPECT_FALSE(table.is_kept(beyond, start + 183 * second));
}

TEST(AwayTable, WalksHolderByHolder) {
    auto table = std::make_shared<AwayTable>();
    EXPECT_FALSE(table->next_holder(std::nullopt).has_value());
    {
        const AwayPins one(table, {{node_id(1), blob_id(1)}, {node_id(1), blob_id(2)}});
        const AwayPins two(table, {{node_id(1), blob_id(1)}, {node_id(3), blob_id(4)}});
        EXPECT_TRUE(table->next_holder(std::nullopt) == node_id(1));
        EXPECT_TRUE(table->next_holder(node_id(1)) == node_id(3));
        EXPECT_TRUE(table->next_holder(node_id(2)) == node_id(3));
        EXPECT_FALSE(table->next_holder(node_id(3)).has_value());
        EXPECT_EQ(table->blobs_of(node_id(1), std::nullopt, 1), std::vector{blob_id(1)});
        EXPECT_EQ(table->blobs_of(node_id(1), blob_id(1), 5), std::vector{blob_id(2)});
        EXPECT_TRUE(table->blobs_of(node_id(1), blob_id(2), 5).empty());
        EXPECT_TRUE(table->blobs_of(node_id(2), std::nullopt, 5).empty());
    }
    EXPECT_FALSE(table->next_holder(std::nullopt).has_value());
}

}  // namespace
}  // namespace hamster::objects
