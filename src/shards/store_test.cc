#include "shards/store.h"

#include "shards/store_scene.h"

namespace hamster::shards {
namespace {

class StoreTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(is_ok(scene.open())); }
    StoreScene scene;
    Store& store() { return *scene.store; }
    runtime::sim::Machine& machine() { return scene.machine; }
};

TEST_F(StoreTest, PutReadFindListRemove) {
    EXPECT_TRUE(is_ok(scene.put(shard(2), "two")));
    EXPECT_TRUE(is_ok(scene.put(shard(1, 3), pattern(1, 100'000))));
    EXPECT_TRUE(is_ok(scene.put(shard(1, 2), pattern(9, kSliceBytes))));
    EXPECT_TRUE(fails_with(scene.put(shard(2), "other"), Code::kAlreadyExists));
    EXPECT_EQ(scene.read(shard(2)), "two");
    EXPECT_EQ(scene.read(shard(1, 3)), pattern(1, 100'000));
    EXPECT_EQ(scene.read(shard(1, 2)), pattern(9, kSliceBytes));
    EXPECT_TRUE(fails_with(scene.read(shard(2), 1), Code::kNotFound));
    EXPECT_TRUE(fails_with(scene.read(shard(3)), Code::kNotFound));
    const auto listed = store().list(std::nullopt, 2);
    ASSERT_TRUE(is_ok(listed));
    ASSERT_EQ(listed->size(), 2U);
    EXPECT_EQ((*listed)[0].id, shard(1, 2));
    EXPECT_EQ((*listed)[1].id, shard(1, 3));
    const auto rest = store().list((*listed)[1].id, 10);
    ASSERT_EQ(rest->size(), 1U);
    EXPECT_EQ((*rest)[0].bytes, 3U);
    EXPECT_EQ(store().stats().shards, 3U);
    EXPECT_TRUE(is_ok(scene.remove({shard(2), shard(2), shard(77)})));
    EXPECT_TRUE(fails_with(scene.read(shard(2)), Code::kNotFound));
    EXPECT_EQ(*store().find(shard(2)), std::nullopt);
    EXPECT_EQ(store().stats().shards, 2U);
    EXPECT_TRUE(is_ok(scene.put(shard(2), "again")));
    EXPECT_EQ(scene.read(shard(2)), "again");
}

TEST_F(StoreTest, LargeShardOverSeveralSegments) {
    EXPECT_TRUE(is_ok(scene.write(shard(1), 100, kSliceBytes, 5, 777)));
    EXPECT_TRUE(is_ok(scene.write(shard(2), 200, 10'000, 40, 10'000, 400'000)));
    for (std::uint32_t i = 0; i < 5; ++i) {
        EXPECT_EQ(scene.read(shard(1), i), pattern(100 + i, i == 4 ? 777 : kSliceBytes)) << i;
    }
    for (std::uint32_t i = 0; i < 40; ++i) {
        EXPECT_EQ(scene.read(shard(2), i), pattern(200 + i, 10'000)) << i;
    }
    EXPECT_TRUE(fails_with(scene.read(shard(1), 5), Code::kNotFound));
    EXPECT_EQ((*store().find(shard(1)))->bytes, 4U * kSliceBytes + 777);
    EXPECT_TRUE(fails_with(scene.create(shard(1)), Code::kAlreadyExists));
}

TEST_F(StoreTest, AWriterKnowsItsLimits) {
    auto writer = scene.create(shard(1));
    ASSERT_TRUE(is_ok(writer));
    EXPECT_TRUE(fails_with(scene.call((*writer)->append(base::Buffer())), Code::kInvalid));
    EXPECT_TRUE(is_ok(scene.call((*writer)->append(buffer_of("1234")))));
    EXPECT_TRUE(fails_with(scene.call((*writer)->append(buffer_of("12345"))), Code::kInvalid));
    EXPECT_TRUE(is_ok(scene.call((*writer)->append(buffer_of("123")))));
    EXPECT_TRUE(fails_with(scene.call((*writer)->append(buffer_of("1"))), Code::kInvalid));
    EXPECT_TRUE(is_ok(scene.call((*writer)->finish())));
    EXPECT_EQ(scene.read(shard(1), 1), "123");
    auto empty = scene.create(shard(2));
    EXPECT_TRUE(fails_with(scene.call((*empty)->finish()), Code::kInvalid));
}

TEST_F(StoreTest, TwoWritersOfOneShard) {
    auto first = scene.create(shard(1));
    auto second = scene.create(shard(1));
    EXPECT_TRUE(is_ok(scene.call((*first)->append(buffer_of("first")))));
    EXPECT_TRUE(is_ok(scene.call((*second)->append(buffer_of("second")))));
    EXPECT_TRUE(is_ok(scene.call((*second)->finish())));
    EXPECT_TRUE(fails_with(scene.call((*first)->finish()), Code::kAlreadyExists));
    first->reset();
    scene.sleep(3000);
    EXPECT_EQ(scene.read(shard(1)), "second");
    ASSERT_TRUE(is_ok(scene.restart()));
    EXPECT_EQ(scene.read(shard(1)), "second");
}

TEST_F(StoreTest, EverythingIsThereAfterACrashAndAfterAStop) {
    for (std::uint64_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(is_ok(scene.put(shard(i), pattern(i, 50 * i))));
    }
    ASSERT_TRUE(is_ok(scene.write(shard(1000), 5, 50'000, 9, 1)));
    const auto before = store().stats();
    for (int round = 0; round < 2; ++round) {
        ASSERT_TRUE(is_ok(round == 0 ? scene.restart() : scene.stop_and_restart()));
        for (std::uint64_t i = 0; i < 200; ++i) {
            ASSERT_EQ(scene.read(shard(i)), pattern(i, 50 * i));
        }
        ASSERT_EQ(scene.read(shard(1000), 8), pattern(13, 1));
        EXPECT_EQ(store().stats().live_bytes, before.live_bytes);
        EXPECT_EQ(store().stats().shards, before.shards);
    }
}

TEST_F(StoreTest, ALostOrDamagedIndexIsRebuilt) {
    for (std::uint64_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(is_ok(scene.put(shard(i), pattern(i, 5000))));
    }
    ASSERT_TRUE(is_ok(scene.write(shard(1000), 5, 50'000, 9, 1)));
    ASSERT_TRUE(is_ok(scene.write(shard(1001), 5, 50'000, 9, 1)));
    ASSERT_TRUE(is_ok(scene.remove({shard(1001)})));
    scene.sleep(5000);  // punched
    for (int round = 0; round < 2; ++round) {
        const auto before = store().stats();
        scene.run([](Store* store) -> runtime::Task<void> { co_await store->stop(); }(&store()));
        scene.crash_only();
        if (round == 0) {
            machine().remove_file("shards/index/content");
        } else {
            machine().flip_bit("shards/index/content", 12345);
        }
        ASSERT_TRUE(is_ok(scene.restart()));
        for (std::uint64_t i = 0; i < 100; ++i) {
            ASSERT_EQ(scene.read(shard(i)), pattern(i, 5000)) << i;
        }
        ASSERT_EQ(scene.read(shard(1000), 7), pattern(12, 50'000));
        EXPECT_TRUE(fails_with(scene.read(shard(1001)), Code::kNotFound));
        EXPECT_EQ(store().stats().shards, before.shards);
        EXPECT_EQ(store().stats().live_bytes, before.live_bytes);
    }
}

TEST_F(StoreTest, AnAbandonedWriterGivesItsSpaceBack) {
    for (int round = 0; round < 20; ++round) {
        auto writer = scene.create(shard(1));
        ASSERT_TRUE(is_ok(writer));
        for (int i = 0; i < 6; ++i) {
            ASSERT_TRUE(is_ok(scene.call((*writer)->append(buffer_of(pattern(1, 60'000))))));
        }
        writer->reset();
        scene.sleep(2000);
    }
    EXPECT_EQ(*store().find(shard(1)), std::nullopt);
    EXPECT_EQ(store().stats().live_bytes, 0U);
    EXPECT_LT(store().stats().disk_bytes, 6 * kTinySegment);
    EXPECT_LT(machine().allocated_bytes(), 6 * kTinySegment);
}

TEST_F(StoreTest, RemovedSpaceComesBack) {
    for (std::uint64_t round = 0; round < 12; ++round) {
        std::vector<ShardId> ids;
        for (std::uint64_t i = 0; i < 30; ++i) {
            ids.push_back(shard(round * 100 + i));
            ASSERT_TRUE(is_ok(scene.put(ids.back(), pattern(i, 20'000))));
        }
        ids.push_back(shard(round * 100 + 50));
        ASSERT_TRUE(is_ok(scene.write(ids.back(), 1, kSliceBytes, 3, 5)));
        ASSERT_TRUE(is_ok(scene.remove(ids)));
        scene.sleep(3000);
    }
    const auto stats = store().stats();
    EXPECT_EQ(stats.live_bytes, 0U);
    EXPECT_EQ(stats.shards, 0U);
    EXPECT_LT(stats.disk_bytes, 6 * kTinySegment);
    EXPECT_LT(machine().allocated_bytes(), 7 * kTinySegment);
}

TEST_F(StoreTest, CompactionKeepsWhatIsLive) {
    std::vector<ShardId> gone;
    for (std::uint64_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(is_ok(scene.put(shard(i), pattern(i, 9000))));
        if (i % 5 != 0) gone.push_back(shard(i));
    }
    for (std::uint64_t i = 1000; i < 1020; ++i) {
        ASSERT_TRUE(is_ok(scene.write(shard(i), i, 30'000, 5, 100)));
        if (i % 5 != 0) gone.push_back(shard(i));
    }
    ASSERT_TRUE(is_ok(scene.remove(gone)));
    const auto before = store().stats();
    int compacted = 0;
    for (auto more = scene.compact();; more = scene.compact()) {
        ASSERT_TRUE(is_ok(more));
        if (!*more) break;
        ASSERT_LT(++compacted, 100);
    }
    EXPECT_GT(compacted, 5);
    scene.sleep(5000);
    const auto after = store().stats();
    // Seals name other extents now.
    EXPECT_NEAR(static_cast<double>(after.live_bytes), static_cast<double>(before.live_bytes), 512);
    EXPECT_EQ(after.shards, before.shards);
    EXPECT_LT(after.disk_bytes, before.disk_bytes / 2);
    for (int round = 0; round < 2; ++round) {
        for (std::uint64_t i = 0; i < 200; i += 5) {
            ASSERT_EQ(scene.read(shard(i)), pattern(i, 9000)) << i;
        }
        for (std::uint64_t i = 1000; i < 1020; i += 5) {
            for (std::uint32_t s = 0; s < 5; ++s) {
                ASSERT_EQ(scene.read(shard(i), s), pattern(i + s, s == 4 ? 100 : 30'000));
            }
        }
        ASSERT_TRUE(is_ok(scene.restart()));
    }
}

TEST_F(StoreTest, BitRotCostsOneSliceOnly) {
    for (std::uint64_t i = 0; i < 40; ++i) {
        ASSERT_TRUE(is_ok(scene.put(shard(i), pattern(i, 3000))));
    }
    ASSERT_TRUE(is_ok(scene.write(shard(100), 7, 30'000, 5, 30'000)));
    scene.run([](Store* store) -> runtime::Task<void> { co_await store->stop(); }(&store()));
    scene.crash_only();
    machine().flip_bit("shards/segments/00000001.small", 8ULL * (50'000 + 11));
    for (const char* name : {"shards/segments/00000002.large", "shards/segments/00000003.large"}) {
        if (machine().durable_content(name)) machine().flip_bit(name, 8ULL * (8192 + 32768 + 9));
    }
    ASSERT_TRUE(is_ok(scene.restart()));
    int bad = 0;
    for (std::uint64_t i = 0; i < 40; ++i) {
        const auto got = scene.read(shard(i));
        if (got) {
            EXPECT_EQ(*got, pattern(i, 3000));
        } else {
            EXPECT_TRUE(fails_with(got, Code::kCorrupt));
            ++bad;
        }
    }
    EXPECT_EQ(bad, 1);
    bad = 0;
    for (std::uint32_t i = 0; i < 5; ++i) {
        const auto got = scene.read(shard(100), i);
        if (!got) {
            EXPECT_TRUE(fails_with(got, Code::kCorrupt));
            ++bad;
        }
    }
    EXPECT_EQ(bad, 1);
    EXPECT_EQ(store().stats().corrupt_slices, 2U);
    EXPECT_NE(scene.metrics->render().find("hamster_shards_corrupt_slices_total 2"),
              std::string::npos);
}

TEST_F(StoreTest, AFailedWriteIsNotBelieved) {
    ASSERT_TRUE(is_ok(scene.put(shard(1), "before")));
    machine().set_faults({.sync_eio_ppm = 1'000'000});
    EXPECT_TRUE(fails_with(scene.put(shard(2), "lost"), Code::kIo));
    EXPECT_TRUE(fails_with(scene.read(shard(2)), Code::kNotFound));
    EXPECT_FALSE(scene.write(shard(3), 1, 5000, 3, 5000).has_value());
    machine().set_faults({});
    EXPECT_TRUE(is_ok(scene.put(shard(2), "second try")));
    EXPECT_TRUE(is_ok(scene.write(shard(3), 20, 5000, 3, 5000)));
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(scene.read(shard(1)), "before");
        EXPECT_EQ(scene.read(shard(2)), "second try");
        EXPECT_EQ(scene.read(shard(3), 2), pattern(22, 5000));
        ASSERT_TRUE(is_ok(scene.restart()));
    }
}

TEST_F(StoreTest, AFullDiskRefusesWritesAndRecovers) {
    machine().set_faults({.capacity_bytes = 12 * kTinySegment});
    std::vector<ShardId> ids;
    Result<void> put;
    for (std::uint64_t i = 0; put; ++i) {
        ASSERT_LT(i, 2000U);
        put = i % 10 == 0 ? scene.write(shard(i), i, 20'000, 4, 20'000)
                          : scene.put(shard(i), pattern(i, 15'000));
        if (put) ids.push_back(shard(i));
    }
    EXPECT_TRUE(fails_with(put, Code::kNoSpace));
    EXPECT_TRUE(store().is_full());
    EXPECT_TRUE(fails_with(scene.create(shard(9999)), Code::kNoSpace));
    EXPECT_TRUE(is_ok(scene.read(ids[1])));
    ids.erase(ids.begin());
    ASSERT_TRUE(is_ok(scene.remove(ids)));
    scene.sleep(10'000);
    EXPECT_FALSE(store().is_full());
    for (std::uint64_t i = 5000; i < 5050; ++i) {
        ASSERT_TRUE(is_ok(scene.put(shard(i), pattern(i, 15'000)))) << i;
    }
    EXPECT_EQ(scene.read(shard(0), 3), pattern(3, 20'000));
}

TEST(StoreSpace, TheReserveIsKept) {
    Options options = kTiny;
    options.reserve_bytes = 4 << 20;
    StoreScene scene(1, options);
    scene.machine.set_faults({.capacity_bytes = 8 << 20});
    ASSERT_TRUE(is_ok(scene.open()));
    Result<void> put;
    std::uint64_t stored = 0;
    while (put && stored < 2000) {
        put = scene.put(shard(stored++), pattern(1, 15'000));
    }
    EXPECT_TRUE(fails_with(put, Code::kNoSpace));
    EXPECT_GT(scene.machine.world().disk.space()->free_bytes, (4U << 20) - 3 * kTinySegment);
    EXPECT_GT(stored, 150U);
}

TEST_F(StoreTest, StopWaitsForWhatWasBegun) {
    auto writer = scene.create(shard(1));
    EXPECT_TRUE(is_ok(scene.call((*writer)->append(buffer_of("1234")))));
    scene.run([](Store* store) -> runtime::Task<void> { co_await store->stop(); }(&store()));
    EXPECT_TRUE(fails_with(scene.call((*writer)->append(buffer_of("1"))), Code::kUnavailable));
    EXPECT_TRUE(fails_with(scene.put(shard(2), "x"), Code::kUnavailable));
}

}  // namespace
}  // namespace hamster::shards
