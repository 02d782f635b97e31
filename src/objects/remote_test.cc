// Two nodes over one group before there is any layout: what a node stores lies with the founder,
// and what it stored in earlier times with itself.
#include <gtest/gtest.h>

#include <functional>

#include "objects/exchange.h"
#include "objects/pins.h"
#include "objects/sim_cluster.h"

namespace hamster::objects {
namespace {

using runtime::Micros;
using runtime::Task;
using testing::erase_on;
using testing::get_on;
using testing::kGraceMs;
using testing::node_id;
using testing::pattern_text;
using testing::put_on;
using testing::reconcile_on;
using testing::run_scene;
using testing::SimCluster;
using testing::SimNode;
using testing::store_on;
using testing::Traffic;

constexpr std::uint64_t kKeptMs = 60'000;

// A body as nodes stored it before there were layouts: on the node itself, which it names.
Task<StoredBody> store_as_before(SimNode* node, std::uint64_t seed, std::uint64_t size) {
    StoredBody body;
    body.size = size;
    if (size == 0) co_return body;
    const auto blob = node->world->random.id<base::BlobId>();
    const std::string text = pattern_text(seed, {0, size});
    auto created = co_await node->shards->create({blob, base::Slot{0}}, size);
    EXPECT_TRUE(created.has_value());
    for (std::uint64_t at = 0; at < size; at += shards::kSliceBytes) {
        const std::string slice = text.substr(at, shards::kSliceBytes);
        auto appended = co_await (*created)->append(base::Buffer::copy_of(base::as_bytes(slice)));
        EXPECT_TRUE(appended.has_value());
    }
    auto finished = co_await (*created)->finish();
    EXPECT_TRUE(finished.has_value());
    body.blob.emplace();
    body.blob->set_blob_id(std::string(blob.view()));
    body.blob->set_sealed_ms(node->group->stamp_now());
    body.blob->mutable_geometry()->set_size(size);
    body.blob->mutable_geometry()->set_k(1);
    body.blob->mutable_geometry()->set_slice_bytes(shards::kSliceBytes);
    body.blob->mutable_geometry()->set_holder(std::string(node->options.self.view()));
    co_return body;
}
Task<StoredBody> store_as_before_on(SimNode* node, std::uint64_t seed, std::uint64_t size) {
    auto stored =
        co_await runtime::run_on(node->world->executor, store_as_before(node, seed, size));
    co_return stored;
}
Task<void> commit(SimCluster* cluster, std::string key, StoredBody body) {
    std::vector<StoredBody> bodies;
    bodies.push_back(std::move(body));
    auto committed = co_await cluster->node(1)->commit(std::move(key), std::move(bodies));
    EXPECT_TRUE(committed.has_value());
}
std::size_t garbage_rows(const meta::View& view) { return view.garbage(std::nullopt, 100)->size(); }
Task<std::size_t> garbage_of(SimCluster* cluster) {
    auto viewed = co_await cluster->node(1)->group->view();
    co_return garbage_rows(*viewed);
}

constexpr std::uint64_t kSizes[] = {0, 1, 4095, 131072, 131073, 262144, 262145, 524288, 1'000'003};

Task<void> every_size(SimCluster* cluster) {
    std::uint64_t seed = 0;
    for (const std::uint64_t size : kSizes) {
        for (SimNode* writer : {cluster->node(1), cluster->node(2)}) {
            ++seed;
            auto put = co_await put_on(writer, "key", seed, size);
            EXPECT_TRUE(put.has_value());
            for (SimNode* reader : {cluster->node(1), cluster->node(2)}) {
                auto text = co_await get_on(reader, "key", std::nullopt);
                EXPECT_TRUE(text.has_value());
                EXPECT_TRUE(text == pattern_text(seed, {0, size})) << size;
            }
        }
    }
    EXPECT_GT(cluster->network.calls[RemoteMethod::kReadSlice], 0);
    EXPECT_GT(cluster->node(1)->shards->stats().shards, 0U);
    EXPECT_GT(cluster->node(2)->shards->stats().shards, 0U) << "it lies where it was taken in";
}
TEST(Remote, BodiesOfEverySizeFromEveryNode) { run_scene({.seed = 1}, every_size); }

Task<void> ranges_of_mixed_parts(SimCluster* cluster) {
    const std::vector<std::uint64_t> sizes{300'000, 5, 0, 800'000, 131'072};
    std::vector<StoredBody> bodies;
    std::string whole;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        SimNode* const holder = i % 2 == 0 ? cluster->node(1) : cluster->node(2);
        StoredBody body = co_await store_as_before_on(holder, i, sizes[i]);
        bodies.push_back(std::move(body));
        whole += pattern_text(i, {0, sizes[i]});
    }
    auto committed = co_await cluster->node(2)->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t offset = cluster->node(2)->world->random.below(whole.size());
        const std::uint64_t length =
            1 + cluster->node(2)->world->random.below(whole.size() - offset);
        SimNode* const reader = i % 2 == 0 ? cluster->node(1) : cluster->node(2);
        auto text = co_await get_on(reader, "key", ByteRange{offset, length});
        EXPECT_TRUE(text.has_value());
        EXPECT_TRUE(text == whole.substr(offset, length)) << offset << "+" << length;
    }
}
TEST(Remote, RangesOfPartsOnDifferentNodes) { run_scene({.seed = 2}, ranges_of_mixed_parts); }

// Blobs from before there were other nodes name nobody.
Task<void> of_the_founder(SimCluster* cluster) {
    StoredBody body = co_await store_as_before(cluster->node(1), 1, 500'000);
    body.blob->mutable_geometry()->clear_holder();
    co_await commit(cluster, "key", std::move(body));
    for (SimNode* reader : {cluster->node(1), cluster->node(2)}) {
        auto text = co_await get_on(reader, "key", std::nullopt);
        EXPECT_TRUE(text == pattern_text(1, {0, 500'000}));
    }
    co_await erase_on(cluster->node(1), "key");
    co_await cluster->sleep_ms(3 * kGraceMs);
    co_await reconcile_on(cluster->node(2));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 1U);
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 0U);
}
TEST(Remote, ABlobWithoutHolderIsTheFounders) { run_scene({.seed = 3}, of_the_founder); }

Task<void> wrong_answers(SimCluster* cluster) {
    auto put = co_await put_on(cluster->node(1), "key", 1, 600'000);
    EXPECT_TRUE(put.has_value());
    std::string earlier;
    std::function<void(std::string&)> way = [&](std::string& answer) { earlier = answer; };
    cluster->network.tamper = [&](const Traffic& traffic, std::string& answer) {
        if (traffic.what == RemoteMethod::kReadSlice && way) way(answer);
    };
    auto right = co_await get_on(cluster->node(2), "key", ByteRange{0, 10});
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
    for (const auto& next : ways) {
        way = next;
        auto text = co_await get_on(cluster->node(2), "key", ByteRange{300'000, 100});
        EXPECT_FALSE(text.has_value());
        if (text) continue;
        EXPECT_EQ(text.error().code, Code::kCorrupt);
        EXPECT_NE(text.error().context.find(node_id(1).hex()), std::string::npos);
    }
    way = nullptr;
    auto text = co_await get_on(cluster->node(2), "key", std::nullopt);
    EXPECT_TRUE(text == pattern_text(1, {0, 600'000}));
}
TEST(Remote, WrongAnswersAreNeverSentOn) { run_scene({.seed = 4}, wrong_answers); }

Task<void> lose_the_shard(SimCluster* cluster) {
    auto body = co_await store_on(cluster->node(1), 1, 1000);
    EXPECT_TRUE(body.has_value());
    std::vector<shards::ShardId> ids;
    ids.push_back({*base::BlobId::from_bytes(body->blob->blob_id()), base::Slot{0}});
    std::vector<StoredBody> bodies;
    bodies.push_back(std::move(*body));
    auto committed = co_await cluster->node(2)->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    auto removed = co_await runtime::run_on(cluster->node(1)->world->executor,
                                            cluster->node(1)->shards->remove(std::move(ids)));
    EXPECT_TRUE(removed.has_value());
    auto text = co_await get_on(cluster->node(2), "key");
    EXPECT_EQ(text.error().code, Code::kCorrupt);
}
TEST(Remote, ASliceThatItsHolderHasLostIsCorrupt) { run_scene({.seed = 5}, lose_the_shard); }

Task<void> out_of_reach(SimCluster* cluster) {
    const std::uint64_t size = 4U << 20U;
    auto put = co_await put_on(cluster->node(1), "key", 1, size);
    EXPECT_TRUE(put.has_value());
    for (const Code trouble : {Code::kUnavailable, Code::kTimeout, Code::kClosed, Code::kDenied,
                               Code::kUnknownOutcome, Code::kUnsupported}) {
        int left = 0;
        cluster->network.trouble = [&](const Traffic& traffic) -> std::optional<Error> {
            if (traffic.what != RemoteMethod::kReadSlice || left-- > 0) return std::nullopt;
            return Error{trouble, "no"};
        };
        auto opened = co_await cluster->node(2)->open_object("key", std::nullopt);
        EXPECT_EQ(opened.error().code, Code::kUnavailable);
        EXPECT_NE(opened.error().context.find(node_id(1).hex()), std::string::npos);
        left = 6;  // in mid-body
        auto reopened = co_await cluster->node(2)->open_object("key", std::nullopt);
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
    cluster->network.forget();
    cluster->network.take_down(1);
    // Without a layout nothing that a node takes in depends on another one.
    auto alone = co_await put_on(cluster->node(2), "mine", 2, 1000);
    EXPECT_TRUE(alone.has_value());
    auto text = co_await get_on(cluster->node(2), "mine", std::nullopt);
    EXPECT_TRUE(text == pattern_text(2, {0, 1000}));
}
TEST(Remote, AHolderOutOfReachIsUnavailable) { run_scene({.seed = 6}, out_of_reach); }

Task<void> collected_by_the_holder(SimCluster* cluster) {
    auto put = co_await put_on(cluster->node(1), "key", 1, 500'000);
    EXPECT_TRUE(put.has_value());
    co_await erase_on(cluster->node(1), "key");
    co_await cluster->sleep_ms(3 * kGraceMs);
    co_await reconcile_on(cluster->node(2));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 1U);
    std::size_t rows = co_await garbage_of(cluster);
    EXPECT_EQ(rows, 1U) << "only the holder drops the row";
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 0U);
    rows = co_await garbage_of(cluster);
    EXPECT_EQ(rows, 0U);
}
TEST(Remote, OnlyTheHolderCollects) { run_scene({.seed = 7}, collected_by_the_holder); }

Task<void> orphans_stay_local(SimCluster* cluster) {
    auto on_a = co_await store_as_before(cluster->node(1), 1, 1000);
    auto on_b = co_await store_as_before_on(cluster->node(2), 2, 1000);
    EXPECT_TRUE(on_a.blob && on_b.blob);
    co_await reconcile_on(cluster->node(2));
    co_await cluster->sleep_ms(kGraceMs + 1000);
    co_await reconcile_on(cluster->node(2));
    EXPECT_EQ(cluster->node(2)->shards->stats().shards, 0U);
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 1U);
}
TEST(Remote, OrphansAreALocalMatter) { run_scene({.seed = 8}, orphans_stay_local); }

// The garbage grace is one second here: what keeps the blobs is that the holder knows of readers.
Task<void> a_slow_reader(SimCluster* cluster) {
    const std::uint64_t size = 4U << 20U;
    co_await cluster->sleep_ms(kKeptMs + 1000);  // the holder's first minute
    auto put = co_await put_on(cluster->node(1), "key", 1, size);
    EXPECT_TRUE(put.has_value());
    auto opened = co_await cluster->node(2)->open_object("key", std::nullopt);
    EXPECT_TRUE(opened.has_value());
    std::unique_ptr<BodyReader> reader = std::move(*opened);
    co_await erase_on(cluster->node(1), "key");
    for (int i = 0; i < 30; ++i) {
        co_await cluster->sleep_ms(20'000);
        co_await reconcile_on(cluster->node(1));
    }
    EXPECT_GT(cluster->network.keeps, 20);
    std::string text;
    while (true) {
        auto next = co_await reader->next();
        EXPECT_TRUE(next.has_value());
        if (!next || next->empty()) break;
        text += base::as_text(next->bytes());
    }
    EXPECT_TRUE(text == pattern_text(1, {0, size}));
    reader.reset();
    co_await cluster->sleep_ms(1000);
    cluster->network.keeps = 0;
    co_await cluster->sleep_ms(3 * kKeptMs);
    EXPECT_EQ(cluster->network.keeps, 0) << "nothing is read any more";
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 0U);
}
TEST(Remote, WhatAnotherNodeReadsIsKept) {
    run_scene({.seed = 9, .grace_ms = 1000}, a_slow_reader);
}

Task<void> without_keeps(SimCluster* cluster) {
    co_await cluster->sleep_ms(kKeptMs + 1000);
    cluster->network.trouble = [](const Traffic& traffic) -> std::optional<Error> {
        if (traffic.what != RemoteMethod::kKeep) return std::nullopt;
        return Error{Code::kTimeout, "no"};
    };
    auto put = co_await put_on(cluster->node(1), "key", 1, 500'000);
    EXPECT_TRUE(put.has_value());
    auto opened = co_await cluster->node(2)->open_object("key", std::nullopt);
    EXPECT_TRUE(opened.has_value());
    co_await erase_on(cluster->node(1), "key");
    co_await cluster->sleep_ms(kKeptMs - 2000);
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 1U) << "it was read within the minute";
    co_await cluster->sleep_ms(kKeptMs + 3000);
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 0U)
        << "a reader that is cut off is forgotten";
}
TEST(Remote, AReadAloneKeepsForAMinute) {
    run_scene({.seed = 10, .grace_ms = 1000}, without_keeps);
}

Task<void> first_minute(SimCluster* cluster) {
    auto put = co_await put_on(cluster->node(1), "key", 1, 1000);
    EXPECT_TRUE(put.has_value());
    co_await erase_on(cluster->node(1), "key");
    co_await cluster->sleep_ms(kKeptMs - 5000);
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 1U);
    co_await cluster->sleep_ms(6000);
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 0U);
}
TEST(Remote, AHolderCollectsNothingBeforeReadersHadTimeToSpeakUp) {
    run_scene({.seed = 11, .grace_ms = 1000}, first_minute);
}

Task<void> bad_requests(SimCluster* cluster) {
    Service* const service = cluster->node(2)->objects.get();
    for (const RemoteMethod method :
         {RemoteMethod::kPutSlice, RemoteMethod::kAbandon, RemoteMethod::kKeepWriting}) {
        auto nothing = co_await service->serve(node_id(1), method, "");
        EXPECT_EQ(nothing.error().code, Code::kInvalid);
        auto unparsed = co_await service->serve(node_id(1), method, "\x0a\x7f");
        EXPECT_EQ(unparsed.error().code, Code::kInvalid);
    }
    auto unknown = co_await service->serve(node_id(1), RemoteMethod{99}, "");
    EXPECT_EQ(unknown.error().code, Code::kUnsupported);
    auto empty = co_await service->serve(node_id(1), RemoteMethod::kReadSlice, "");
    EXPECT_EQ(empty.error().code, Code::kInvalid);
    auto garbage = co_await service->serve(node_id(1), RemoteMethod::kKeep, "\x0a\x7f");
    EXPECT_EQ(garbage.error().code, Code::kInvalid);
    auto absent = co_await service->serve(node_id(1), RemoteMethod::kReadSlice, encode_read({}));
    EXPECT_EQ(absent.error().code, Code::kNotFound);
    auto endless = co_await service->serve(node_id(1), RemoteMethod::kKeep,
                                           std::string(kMaxRequestBytes + 1, '\0'));
    EXPECT_EQ(endless.error().code, Code::kTooLarge);
}
TEST(Remote, BadRequestsAreRefused) { run_scene({.seed = 12}, bad_requests); }

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

Task<void> restart(SimNode* node) {
    co_await node->objects->stop();
    node->objects = make_service(node->world, node->router.get(), node->shards.get(), node->options,
                                 &node->metrics);
}

// Who has asked nobody yet believes that all are up. A body that is too long to be sent twice must
// not be the one to find out.
Task<void> starts_beside_a_dead_node(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    SimNode* const node = cluster->node(2);
    cluster->network.take_down(3);
    co_await runtime::run_on(node->world->executor, restart(node));
    cluster->network.hopeful.insert(node_id(2));
    co_await cluster->sleep_ms(200);
    auto body = co_await store_on(node, 1, 1'000'000);
    EXPECT_TRUE(body.has_value());
    if (!body) co_return;
    EXPECT_EQ(body->blob->geometry().k(), 1U);
    EXPECT_EQ(body->blob->geometry().missing(), 0U);
}
TEST(Probe, ANodeThatStartsLooksWhoIsUp) { run_scene({.nodes = 3}, starts_beside_a_dead_node); }

// A node that is drained goes on when it was down for a while: others ask it again, though it has
// no places any more.
Task<void> comes_back_without_places(SimCluster* cluster) {
    auto put = co_await put_on(cluster->node(3), "key", 1, 100'000);
    EXPECT_TRUE(put.has_value());
    const auto left = co_await cluster->propose(meta::testing::set_leaving(3));
    EXPECT_EQ(left, proto::Answer::OK);
    cluster->network.take_down(3);
    co_await cluster->lay(1, 1, {1, 2});
    for (const bool is_back : {false, true}) {
        if (is_back) cluster->network.down.clear();
        co_await cluster->sleep_ms(2000);
        for (std::uint64_t number = 1; number <= 2; ++number) {
            co_await reconcile_on(cluster->node(number));
        }
        auto viewed = co_await cluster->node(1)->group->view();
        EXPECT_EQ(viewed->blobs_held(node_id(3)).value_or(2), is_back ? 0U : 1U);
    }
}
TEST(Probe, ANodeWithoutPlacesIsMissedAndFoundAgain) {
    run_scene({.nodes = 3}, comes_back_without_places);
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
