// Shards that take the place of others: repair writes a damaged one anew.
#include "shards/segment.h"
#include "shards/store_scene.h"

namespace hamster::shards {
namespace {

class ReplaceTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(is_ok(scene.open())); }
    Store& store() { return *scene.store; }
    Result<void> replace(ShardId id, const std::string& slice) {
        return scene.call<void>(store().put(id, buffer_of(slice), Mode::kReplace));
    }
    // A shard of `count` slices pattern(seed + i); nullptr at an error. Not finished yet.
    std::unique_ptr<Writer> begin(ShardId id, std::uint64_t seed, std::size_t slice, int count) {
        auto created = scene.call<std::unique_ptr<Writer>>(store().create(id, 0, Mode::kReplace));
        if (!created) return nullptr;
        for (int i = 0; i < count; ++i) {
            const std::string bytes = pattern(seed + static_cast<std::uint64_t>(i), slice);
            if (!scene.call<void>((*created)->append(buffer_of(bytes)))) return nullptr;
        }
        return std::move(*created);
    }
    Result<void> finish(const std::unique_ptr<Writer>& writer) {
        return scene.call<void>(writer->finish());
    }
    void expect_slices(ShardId id, std::uint64_t seed, std::size_t slice, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            EXPECT_TRUE(scene.read(id, i) == pattern(seed + i, slice)) << i;
        }
        EXPECT_TRUE(fails_with(scene.read(id, count), Code::kNotFound));
    }
    // Flips a bit of every place in the segments where these bytes are.
    int damage(const std::string& bytes, std::size_t at) {
        int places = 0;
        for (std::uint32_t id = 1; id < 20; ++id) {
            for (const Lane lane : {Lane::kSmall, Lane::kLarge}) {
                const std::string path = segment_path("shards/segments", id, lane);
                const auto content = scene.machine.durable_content(path);
                if (!content) continue;
                const std::size_t found = content->find(bytes);
                if (found == std::string::npos) continue;
                scene.machine.flip_bit(path, 8 * (found + at) + 3);
                ++places;
            }
        }
        return places;
    }
    StoreScene scene;
};

TEST_F(ReplaceTest, TakesThePlaceOfWhatIsThere) {
    ASSERT_TRUE(is_ok(scene.put(shard(1), "old")));
    ASSERT_TRUE(is_ok(scene.write(shard(2), 100, 30'000, 5, 30'000)));
    const Stats before = store().stats();
    ASSERT_TRUE(is_ok(replace(shard(1), "new")));
    ASSERT_TRUE(is_ok(finish(begin(shard(2), 200, 30'000, 5))));
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(scene.read(shard(1)), "new");
        expect_slices(shard(2), 200, 30'000, 5);
        EXPECT_EQ(store().stats().shards, 2U);
        // The seal names other places.
        EXPECT_NEAR(static_cast<double>(store().stats().live_bytes),
                    static_cast<double>(before.live_bytes), 64);
        EXPECT_EQ((*store().find(shard(2)))->slices, 5U);
        ASSERT_TRUE(is_ok(round == 0 ? scene.restart() : scene.stop_and_restart()));
    }
}

TEST_F(ReplaceTest, WithNothingThereIsLikeANewOne) {
    ASSERT_TRUE(is_ok(replace(shard(1), "one")));
    ASSERT_TRUE(is_ok(finish(begin(shard(2), 200, 3000, 2))));
    EXPECT_EQ(scene.read(shard(1)), "one");
    expect_slices(shard(2), 200, 3000, 2);
    EXPECT_TRUE(fails_with(scene.put(shard(1), "two"), Code::kAlreadyExists));
    EXPECT_EQ(store().stats().shards, 2U);
}

TEST_F(ReplaceTest, TheOldOneIsReadUntilTheNewOneIsFinished) {
    ASSERT_TRUE(is_ok(scene.write(shard(1), 100, 30'000, 5, 30'000)));
    {
        const auto given_up = begin(shard(1), 300, 30'000, 4);
        ASSERT_NE(given_up, nullptr);
        expect_slices(shard(1), 100, 30'000, 5);
    }
    scene.sleep(5000);
    expect_slices(shard(1), 100, 30'000, 5);
    const auto writer = begin(shard(1), 200, 30'000, 5);
    expect_slices(shard(1), 100, 30'000, 5);
    ASSERT_TRUE(is_ok(finish(writer)));
    scene.sleep(5000);
    expect_slices(shard(1), 200, 30'000, 5);
}

TEST_F(ReplaceTest, TheSpaceOfTheOldOneComesBack) {
    ASSERT_TRUE(is_ok(scene.put(shard(1), "x")));
    ASSERT_TRUE(is_ok(scene.write(shard(2), 100, 60'000, 4, 60'000)));
    for (std::uint64_t round = 0; round < 20; ++round) {
        ASSERT_TRUE(is_ok(replace(shard(1), pattern(round, 100'000))));
        ASSERT_TRUE(is_ok(finish(begin(shard(2), round * 10, 60'000, 4))));
        scene.sleep(2000);
    }
    expect_slices(shard(2), 190, 60'000, 4);
    EXPECT_LT(store().stats().disk_bytes, 8 * kTinySegment);
    EXPECT_LT(scene.machine.allocated_bytes(), 9 * kTinySegment);
}

TEST_F(ReplaceTest, ARemovedShardMayComeBackByIt) {
    ASSERT_TRUE(is_ok(scene.write(shard(1), 100, 30'000, 2, 30'000)));
    const auto writer = begin(shard(1), 200, 30'000, 2);
    ASSERT_TRUE(is_ok(scene.remove({shard(1)})));
    EXPECT_TRUE(fails_with(scene.read(shard(1)), Code::kNotFound));
    ASSERT_TRUE(is_ok(finish(writer)));
    expect_slices(shard(1), 200, 30'000, 2);
    EXPECT_EQ(store().stats().shards, 1U);
}

TEST_F(ReplaceTest, DamageIsGoneAfterwards) {
    ASSERT_TRUE(is_ok(scene.put(shard(1), pattern(1, 3000))));
    ASSERT_TRUE(is_ok(scene.write(shard(2), 100, 30'000, 3, 30'000)));
    scene.crash_only();
    ASSERT_EQ(damage(pattern(1, 3000), 1500), 1);
    ASSERT_EQ(damage(pattern(101, 30'000).substr(0, 20'000), 700), 1);
    ASSERT_TRUE(is_ok(scene.restart()));
    EXPECT_TRUE(fails_with(scene.read(shard(1)), Code::kCorrupt));
    EXPECT_TRUE(fails_with(scene.read(shard(2), 1), Code::kCorrupt));
    ASSERT_TRUE(is_ok(replace(shard(1), pattern(1, 3000))));
    ASSERT_TRUE(is_ok(finish(begin(shard(2), 100, 30'000, 3))));
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(scene.read(shard(1)), pattern(1, 3000));
        expect_slices(shard(2), 100, 30'000, 3);
        scene.sleep(5000);
        scene.crash_only();
        scene.machine.remove_file("shards/index/content");
        ASSERT_TRUE(is_ok(scene.restart()));
    }
}

// Its slices can all be read while the index is there; without it the shard would be lost.
TEST_F(ReplaceTest, ADamagedSealIsNoticed) {
    ASSERT_TRUE(is_ok(scene.put(shard(1), pattern(1, 3000))));
    ASSERT_TRUE(is_ok(scene.write(shard(2), 100, 30'000, 3, 30'000)));
    const auto verify = [this](ShardId id) { return scene.call<void>(store().verify_home(id)); };
    EXPECT_TRUE(is_ok(verify(shard(1))));
    EXPECT_TRUE(is_ok(verify(shard(2))));
    EXPECT_TRUE(fails_with(verify(shard(3)), Code::kNotFound));
    scene.run([](Store* one) -> runtime::Task<void> { co_await one->stop(); }(&store()));
    scene.crash_only();
    const std::string path = segment_path("shards/segments", 1, Lane::kSmall);
    const std::string content = *scene.machine.durable_content(path);
    // The only seal in it, behind the only slice, in a group of its own.
    const std::size_t slice_at = content.find(pattern(1, 3000));
    ASSERT_NE(slice_at, std::string::npos);
    const std::size_t seal_at = base::round_up(slice_at + 3000, base::kBlock);
    ASSERT_EQ(content.substr(seal_at, 4), "HMR1");
    scene.machine.flip_bit(path, 8 * (seal_at + kHeaderBytes + 2));
    ASSERT_TRUE(is_ok(scene.restart()));
    EXPECT_TRUE(is_ok(verify(shard(1))));
    EXPECT_TRUE(fails_with(verify(shard(2)), Code::kCorrupt));
    expect_slices(shard(2), 100, 30'000, 3);
    ASSERT_TRUE(is_ok(finish(begin(shard(2), 100, 30'000, 3))));
    EXPECT_TRUE(is_ok(verify(shard(2))));
    EXPECT_EQ(store().stats().corrupt_slices, 1U);
}

// The write of the seal fails, and yet it is on the disk: after a crash it counts, and what it
// names must be whole.
TEST_F(ReplaceTest, ASealInDoubtLosesNothing) {
    int replaced = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        StoreScene one(seed);
        ASSERT_TRUE(is_ok(one.open()));
        ASSERT_TRUE(is_ok(one.write(shard(1), 100, 30'000, 3, 30'000)));
        auto created =
            one.call<std::unique_ptr<Writer>>(one.store->create(shard(1), 0, Mode::kReplace));
        ASSERT_TRUE(is_ok(created));
        for (std::uint64_t i = 0; i < 3; ++i) {
            const std::string bytes = pattern(200 + i, 30'000);
            ASSERT_TRUE(is_ok(one.call<void>((*created)->append(buffer_of(bytes)))));
        }
        one.sleep(1000);
        one.machine.set_faults({.sync_eio_ppm = 1'000'000});
        EXPECT_FALSE(one.call<void>((*created)->finish()).has_value());
        one.machine.set_faults({});
        created->reset();
        for (std::uint32_t i = 0; i < 3; ++i) {
            EXPECT_TRUE(one.read(shard(1), i) == pattern(100 + i, 30'000));
        }
        one.sleep(5000);  // whatever is given back is punched
        ASSERT_TRUE(is_ok(one.restart()));
        const bool is_new = one.read(shard(1)) == pattern(200, 30'000);
        replaced += is_new ? 1 : 0;
        for (std::uint32_t i = 0; i < 3; ++i) {
            EXPECT_TRUE(one.read(shard(1), i) == pattern((is_new ? 200 : 100) + i, 30'000)) << seed;
        }
    }
    EXPECT_GT(replaced, 0);
    EXPECT_LT(replaced, 20);
}

}  // namespace
}  // namespace hamster::shards
