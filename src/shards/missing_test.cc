// Segment files that are gone at start-up: an unmounted disk is not an empty store.
#include <fmt/format.h>

#include <map>
#include <string>

#include "base/hash.h"
#include "shards/segment.h"
#include "shards/store_scene.h"

namespace hamster::shards {
namespace {

using Files = std::map<std::string, std::string>;

class MissingTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(is_ok(scene.open()));
        for (std::uint64_t i = 0; i < 60; ++i) {
            ASSERT_TRUE(is_ok(scene.put(shard(i), pattern(i, 15'000))));
        }
        ASSERT_TRUE(is_ok(scene.write(shard(1000), 5, 50'000, 9, 1)));
        stop();
    }
    void stop() {
        scene.run(
            [](Store* store) -> runtime::Task<void> { co_await store->stop(); }(scene.store.get()));
        scene.crash_only();
    }
    Files segments() {
        Files found;
        for (std::uint32_t id = 1; id < 40; ++id) {
            for (const Lane lane : {Lane::kSmall, Lane::kLarge}) {
                const std::string path = segment_path("shards/segments", id, lane);
                auto content = scene.machine.durable_content(path);
                if (content) found.emplace(path, std::move(*content));
            }
        }
        return found;
    }
    std::string all_files() {
        std::string names;
        for (const auto& [path, content] : segments()) {
            names += fmt::format("{} {:016x}\n", path, base::xxh3_64(base::as_bytes(content)));
        }
        return names;
    }
    // Brings a deleted file back; the machine is up.
    void put_back(const std::string& path, const std::string& content) {
        ASSERT_TRUE(is_ok(
            scene.call<void>(runtime::write_file(&scene.machine.world().disk, path, content))));
    }
    void expect_all() {
        for (std::uint64_t i = 0; i < 60; ++i) {
            EXPECT_EQ(scene.read(shard(i)), pattern(i, 15'000)) << i;
        }
        EXPECT_EQ(scene.read(shard(1000), 7), pattern(12, 50'000));
    }
    StoreScene scene;
};

TEST_F(MissingTest, OneFileIsNoticedAndNothingIsChanged) {
    const Files files = segments();
    ASSERT_GE(files.size(), 4U);
    int refused = 0;
    for (const auto& [path, first] : files) {
        const auto content = scene.machine.durable_content(path);
        if (!content) continue;  // an empty one that a start has deleted
        scene.machine.remove_file(path);
        const std::string before = all_files();
        const Result<void> opened = scene.restart();
        if (opened) {  // the one that was prepared and not begun holds nothing
            expect_all();
            stop();
            continue;
        }
        ++refused;
        ASSERT_TRUE(fails_with(opened, Code::kInvalid));
        EXPECT_NE(opened.error().context.find(path), std::string::npos) << opened.error().context;
        EXPECT_NE(opened.error().context.find("-accept-lost-segments"), std::string::npos);
        EXPECT_EQ(all_files(), before);
        put_back(path, *content);
        ASSERT_TRUE(is_ok(scene.restart()));
        expect_all();
        stop();
    }
    EXPECT_GE(refused, 4);
}

TEST_F(MissingTest, ALossThatIsAcceptedCostsOnlyWhatLayThere) {
    scene.machine.remove_file("shards/segments/00000001.small");
    ASSERT_TRUE(fails_with(scene.restart(), Code::kInvalid));
    scene.options().accept_lost_segments = true;
    ASSERT_TRUE(is_ok(scene.restart()));
    scene.options().accept_lost_segments = false;
    for (int round = 0; round < 2; ++round) {
        int lost = 0;
        for (std::uint64_t i = 0; i < 60; ++i) {
            const auto read = scene.read(shard(i));
            if (read) {
                EXPECT_EQ(*read, pattern(i, 15'000)) << i;
            } else {
                EXPECT_EQ(read.error().code, Code::kNotFound);
                ++lost;
            }
        }
        EXPECT_GT(lost, 0);
        EXPECT_LT(lost, 40);
        ASSERT_TRUE(is_ok(scene.stop_and_restart()));
    }
}

// What lay there is absent, so that repair can write it: a shard with any slice in a lost file.
TEST_F(MissingTest, AShardThatWasLostCanBeWrittenAnew) {
    int lost = 0;
    for (const auto& [path, content] : segments()) {
        if (path.ends_with(".large")) {
            scene.machine.remove_file(path);
            ++lost;
            break;
        }
    }
    ASSERT_EQ(lost, 1);
    scene.options().accept_lost_segments = true;
    ASSERT_TRUE(is_ok(scene.restart()));
    EXPECT_EQ(*scene.store->find(shard(1000)), std::nullopt);
    EXPECT_EQ(scene.store->list(shard(999), 10)->size(), 0U);
    ASSERT_TRUE(is_ok(scene.write(shard(1000), 5, 50'000, 9, 1)));
    scene.options().accept_lost_segments = false;
    ASSERT_TRUE(is_ok(scene.restart()));
    expect_all();
    EXPECT_EQ(scene.store->stats().shards, 61U);
}

TEST_F(MissingTest, AnUnmountedDirectoryIsNotANewStore) {
    const Files files = segments();
    for (const bool with_index : {true, false}) {
        SCOPED_TRACE(with_index);
        for (const auto& [path, content] : segments()) scene.machine.remove_file(path);
        scene.machine.remove_file("shards/segments/" + std::string(kMarkFile));
        if (!with_index) scene.machine.remove_file("shards/index/content");
        scene.options().must_exist = true;
        for (int i = 0; i < 2; ++i) {
            const Result<void> opened = scene.restart();
            ASSERT_TRUE(fails_with(opened, Code::kInvalid));
            EXPECT_NE(opened.error().context.find("shards/segments/"), std::string::npos);
            EXPECT_EQ(all_files(), "");
        }
        for (const auto& [path, content] : files) put_back(path, content);
        ASSERT_TRUE(is_ok(scene.restart()));  // with or without the index
        expect_all();
        stop();
    }
    EXPECT_TRUE(scene.machine.durable_content("shards/segments/" + std::string(kMarkFile)));
}

TEST_F(MissingTest, AStoreThatWasAcceptedAsLostBeginsAnew) {
    for (const auto& [path, content] : segments()) scene.machine.remove_file(path);
    scene.machine.remove_file("shards/segments/" + std::string(kMarkFile));
    scene.options().must_exist = true;
    scene.options().accept_lost_segments = true;
    ASSERT_TRUE(is_ok(scene.restart()));
    EXPECT_TRUE(fails_with(scene.read(shard(1)), Code::kNotFound));
    EXPECT_TRUE(is_ok(scene.put(shard(2000), "new")));
    scene.options().accept_lost_segments = false;
    ASSERT_TRUE(is_ok(scene.restart()));
    EXPECT_EQ(scene.read(shard(2000)), "new");
}

// What is reclaimed on a full disk is gone while the index on the disk still counts on it.
TEST_F(MissingTest, SpaceReclaimedOnAFullDiskIsNoLoss) {
    ASSERT_TRUE(is_ok(scene.restart()));
    scene.sleep(5000);
    const std::uint64_t before = scene.machine.allocated_bytes();
    scene.machine.set_faults({.capacity_bytes = 1});  // the index cannot be flushed any more
    std::vector<ShardId> ids;
    ids.reserve(61);
    for (std::uint64_t i = 0; i < 60; ++i) ids.push_back(shard(i));
    ids.push_back(shard(1000));
    ASSERT_TRUE(is_ok(scene.remove(ids)));
    scene.sleep(5000);
    EXPECT_LT(scene.machine.allocated_bytes(), before - 2 * kTinySegment);
    scene.machine.set_faults({});
    ASSERT_TRUE(is_ok(scene.restart()));
    EXPECT_TRUE(is_ok(scene.put(shard(2000), "new")));
    scene.sleep(5000);
    ASSERT_TRUE(is_ok(scene.stop_and_restart()));
    EXPECT_EQ(scene.read(shard(2000)), "new");
    EXPECT_LT(segments().size(), 8U);
}

}  // namespace
}  // namespace hamster::shards
