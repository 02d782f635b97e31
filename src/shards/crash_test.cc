// The store under crashes, faults and lost indexes, against a model. Each client owns a few shards
// and does anything with them at random; a compactor runs beside them. After each crash:
// - what was acknowledged, and not removed since, is there bit for bit; where a replacement was not
//   acknowledged, all of the old shard or all of the new one;
// - anything else that is there is something that was tried: never wrong bytes;
// - in the end, with everything removed, nothing is live and the space is back.
#include <map>
#include <set>

#include "base/assert.h"
#include "base/log.h"
#include "runtime/sync.h"
#include "shards/store_scene.h"

namespace hamster::shards {
namespace {

using runtime::Task;

struct Content {
    std::uint64_t seed = 0;
    std::size_t slice = 0;  // bytes
    int count = 1;
    std::size_t last = 0;
    [[nodiscard]] std::string at(std::uint32_t stripe) const {
        return pattern(seed + stripe, static_cast<int>(stripe) + 1 == count ? last : slice);
    }
    [[nodiscard]] bool matches(std::uint32_t stripe, std::string_view bytes) const {
        return static_cast<int>(stripe) < count && at(stripe) == bytes;
    }
};

struct Expected {
    std::optional<Content> acknowledged;
    // Replacements of it that were cut short: a crash may have brought one of them about.
    std::vector<Content> doubtful;
    std::vector<Content> tried;
};

struct Weather {
    runtime::sim::DiskFaults faults;
    bool lose_index = false;
    bool rot = false;  // damage may have hit anything: only wrong bytes count
};

struct Trial {
    StoreScene scene;
    std::map<ShardId, Expected> model;
    Weather weather;
    std::uint64_t next_seed = 1;
    std::string failure;
    std::set<std::string> reached;
    explicit Trial(std::uint64_t seed) : scene(seed) {}
    runtime::Random& random() { return scene.machine.world().random; }
    void broken(std::string what, ShardId id) {
        if (failure.empty()) failure = what + " " + id.blob.hex();
    }
};

constexpr int kClients = 4;
constexpr std::uint64_t kShardsEach = 10;

Content draw(Trial* run, bool large) {
    auto& random = run->random();
    Content content;
    content.seed = run->next_seed;
    run->next_seed += 100;
    if (!large) {
        const std::size_t limit = random.below(8) == 0 ? 100'000 : 6000;
        content.last = random.below(limit);
        return content;
    }
    content.slice = random.below(6) == 0 ? kSliceBytes : 1 + random.below(60'000);
    content.count = 1 + static_cast<int>(random.below(10));
    content.last = 1 + random.below(content.slice);
    return content;
}

bool tolerated(const Trial& run, const Error& error) {
    const bool faulty = run.weather.faults.sync_eio_ppm + run.weather.faults.write_eio_ppm +
                            run.weather.faults.read_eio_ppm + run.weather.faults.bit_rot_ppm >
                        0;
    if (error.code == Code::kIo || error.code == Code::kCorrupt) return faulty || run.weather.rot;
    return error.code == Code::kNoSpace && run.weather.faults.capacity_bytes < (1ULL << 40);
}

// The answer of a write of `content`.
void settle(Trial* run, ShardId id, Mode mode, const Content& content, const Result<void>& done) {
    Expected& expected = run->model[id];
    if (done) {
        if (expected.acknowledged && mode == Mode::kNew) run->broken("stored twice", id);
        if (expected.acknowledged) run->reached.insert("replaced");
        expected.acknowledged = content;
        expected.doubtful.clear();
        run->reached.insert("stored");
        return;
    }
    if (done.error().code == Code::kAlreadyExists && mode == Mode::kNew) return;
    if (!tolerated(*run, done.error())) run->broken("write: " + done.error().context, id);
}

Task<void> check_slice(Trial* run, ShardId id, std::uint32_t stripe) {
    auto got = co_await run->scene.store->read(id, stripe);
    const Expected& expected = run->model[id];
    if (!got) {
        const bool missing = got.error().code == Code::kNotFound;
        const bool due =
            expected.acknowledged && static_cast<int>(stripe) < expected.acknowledged->count;
        if (due && !run->weather.rot && (missing || !tolerated(*run, got.error()))) {
            run->broken("read: " + got.error().context, id);
        }
        co_return;
    }
    run->reached.insert("read");
    const std::string_view bytes = base::as_text(got->bytes());
    bool known = false;
    for (const Content& content : expected.tried) known |= content.matches(stripe, bytes);
    // Rot in the record of a replacement may bring back what it replaced once the index is lost.
    if (expected.acknowledged && !run->weather.rot) {
        known = expected.acknowledged->matches(stripe, bytes);
    }
    if (!known) run->broken("wrong bytes", id);
}

// What it will say if nothing goes wrong.
void intend(Trial* run, ShardId id, Mode mode, const Content& content) {
    Expected& expected = run->model[id];
    expected.tried.push_back(content);
    if (mode == Mode::kReplace) expected.doubtful.push_back(content);
}

Task<void> do_put(Trial* run, ShardId id, Mode mode) {
    const Content content = draw(run, false);
    intend(run, id, mode, content);
    auto done = co_await run->scene.store->put(id, buffer_of(content.at(0)), mode);
    settle(run, id, mode, content, done);
}

// Until it is finished the shard that it is to replace is read.
Task<Result<void>> stream(Trial* run, ShardId id, Writer* writer, Content content, int count) {
    for (int i = 0; i < count; ++i) {
        auto done = co_await writer->append(buffer_of(content.at(static_cast<std::uint32_t>(i))));
        CO_TRY(done);
        if (run->random().below(4) == 0) {
            co_await run->scene.machine.world().clock.sleep(runtime::Micros(300));
        }
        if (run->random().below(4) == 0) {
            co_await check_slice(run, id, static_cast<std::uint32_t>(run->random().below(6)));
        }
    }
    co_return Result<void>();
}

Task<void> do_write(Trial* run, ShardId id, Mode mode) {
    const Content content = draw(run, true);
    const bool abandon = run->random().below(4) == 0;
    const bool announce = run->random().below(2) == 0;
    const std::uint64_t bytes =
        announce ? content.slice * static_cast<std::size_t>(content.count) : 0;
    intend(run, id, mode, content);
    auto created = co_await run->scene.store->create(id, bytes, mode);
    if (!created) {
        settle(run, id, mode, content, std::unexpected(created.error()));
        co_return;
    }
    const std::unique_ptr<Writer> writer = std::move(*created);
    auto done = co_await stream(run, id, writer.get(), content, content.count - (abandon ? 1 : 0));
    if (done && abandon) co_return;
    if (done) done = co_await writer->finish();
    settle(run, id, mode, content, done);
}

Task<void> do_remove(Trial* run, ShardId id) {
    run->model[id].acknowledged.reset();
    run->model[id].doubtful.clear();
    std::vector<ShardId> ids{id};
    auto done = co_await run->scene.store->remove(std::move(ids));
    // A failed flush of the index ends its use until the next start.
    if (!done && !tolerated(*run, done.error())) {
        run->broken("remove: " + done.error().context, id);
    }
}

Task<void> client(Trial* run, std::uint64_t number, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        const ShardId id = shard(number * 1000 + run->random().below(kShardsEach));
        const std::uint64_t dice = run->random().below(100);
        const auto mode = run->random().below(3) == 0 ? Mode::kReplace : Mode::kNew;
        if (dice < 37) {
            co_await do_put(run, id, mode);
        } else if (dice < 55) {
            co_await do_write(run, id, mode);
        } else if (dice < 77) {
            co_await do_remove(run, id);
        } else if (dice < 95) {
            co_await check_slice(run, id, static_cast<std::uint32_t>(run->random().below(6)));
        } else {
            const auto us = static_cast<std::int64_t>(run->random().below(700'000));
            co_await run->scene.machine.world().clock.sleep(runtime::Micros(us));
        }
    }
}

Task<void> compactor(Trial* run, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        const auto us = static_cast<std::int64_t>(run->random().below(400'000));
        co_await run->scene.machine.world().clock.sleep(runtime::Micros(us));
        auto done = co_await run->scene.store->compact_one();
        if (!done && !tolerated(*run, done.error())) {
            run->broken("compact: " + done.error().context, {});
        }
        if (done && *done) run->reached.insert("compacted");
    }
}

Task<void> work(Trial* run, int rounds) {
    runtime::Gate gate;
    const auto& executor = run->scene.machine.world().executor;
    for (int i = 0; i < kClients; ++i) {
        runtime::spawn(executor, gate, "client",
                       client(run, static_cast<std::uint64_t>(i), rounds));
    }
    runtime::spawn(executor, gate, "compactor", compactor(run, rounds / 4));
    co_await gate.close();
}

// After a crash: which of the contents it may have is there.
Task<void> decide(Trial* run, ShardId id) {
    Expected& expected = run->model[id];
    if (!expected.acknowledged || expected.doubtful.empty()) co_return;
    auto got = co_await run->scene.store->read(id, 0);
    if (!got) co_return;  // told by check_slice
    for (const Content& content : expected.doubtful) {
        if (!content.matches(0, base::as_text(got->bytes()))) continue;
        expected.acknowledged = content;
        run->reached.insert("replaced by the crash");
    }
    expected.doubtful.clear();
}

Task<void> verify(Trial* run) {
    std::vector<ShardId> ids;
    ids.reserve(run->model.size());
    for (const auto& [id, expected] : run->model) ids.push_back(id);
    for (const ShardId& id : ids) {
        co_await decide(run, id);
        const auto info = run->scene.store->find(id);
        const int slices = run->model[id].acknowledged ? run->model[id].acknowledged->count : 10;
        if (!info || (!*info && run->model[id].acknowledged && !run->weather.rot)) {
            run->broken("not found", id);
        }
        for (int i = 0; i < slices; ++i) {
            co_await check_slice(run, id, static_cast<std::uint32_t>(i));
        }
    }
}

Task<void> empty_out(Trial* run) {
    for (;;) {
        auto listed = run->scene.store->list(std::nullopt, 100);
        HAMSTER_ASSERT(listed.has_value());
        std::vector<ShardId> ids;
        for (const ShardInfo& info : *listed) ids.push_back(info.id);
        if (ids.empty()) break;
        auto removed = co_await run->scene.store->remove(std::move(ids));
        HAMSTER_ASSERT(removed.has_value());
    }
    co_await run->scene.machine.world().clock.sleep(std::chrono::seconds(20));
}

// Opens until nothing crashes it; faults that hit an open are lifted for the next try.
void open_again(Trial* run, bool crash_in_open) {
    auto& scene = run->scene;
    if (crash_in_open) {
        scene.machine.crash_at_io(1 + scene.sim.random().below(30),
                                  [run] { run->scene.crash_only(); });
        const auto opened = scene.open();
        if (scene.machine.is_up()) {
            scene.machine.disarm_crash();
            if (opened) return;
            scene.crash_only();
        }
        scene.machine.boot();
        run->reached.insert("crash in open");
    }
    const auto opened = scene.open();
    if (!opened) run->broken("open: " + opened.error().context, {});
}

void incarnation(Trial* run, int number) {
    auto& scene = run->scene;
    if (run->weather.lose_index && number % 2 == 1) {
        scene.machine.remove_file("shards/index/content");
        run->reached.insert("index lost");
    }
    open_again(run, number % 3 == 2);
    if (!run->failure.empty()) return;
    const bool up = scene.run(verify(run));
    HAMSTER_ASSERT(up);
    scene.machine.set_faults(run->weather.faults);
    scene.machine.crash_at_io(1 + scene.sim.random().below(400),
                              [run] { run->scene.crash_only(); });
    if (scene.run(work(run, 60))) {
        scene.machine.disarm_crash();
        scene.crash_only();
    } else {
        run->reached.insert("crash at work");
    }
    const std::uint64_t capacity = run->weather.faults.capacity_bytes;
    scene.machine.set_faults({.capacity_bytes = capacity});
    scene.machine.boot();
}

void finale(Trial* run) {
    if (!run->failure.empty()) return;
    open_again(run, false);
    if (!run->failure.empty()) return;
    run->scene.run(verify(run));
    run->scene.run(empty_out(run));
    const Stats stats = run->scene.store->stats();
    if (run->weather.rot) return;
    EXPECT_EQ(stats.live_bytes, 0U);
    EXPECT_EQ(stats.shards, 0U);
    EXPECT_LT(stats.disk_bytes, 6 * kTinySegment);
    EXPECT_LT(run->scene.machine.allocated_bytes(), 8 * kTinySegment);
}

void campaign(const Weather& weather, std::uint64_t first_seed, int seeds,
              const std::set<std::string>& must_reach) {
    std::set<std::string> reached;
    for (std::uint64_t seed = first_seed; seed < first_seed + static_cast<std::uint64_t>(seeds);
         ++seed) {
        Trial run(seed);
        run.weather = weather;
        for (int i = 0; i < 7 && run.failure.empty(); ++i) {
            incarnation(&run, i);
        }
        finale(&run);
        reached.merge(run.reached);
        ASSERT_EQ(run.failure, "") << "seed " << seed;
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
    }
    for (const std::string& point : must_reach) {
        EXPECT_TRUE(reached.contains(point)) << point;
    }
}

class StoreCrash : public testing::Test {
  protected:
    void SetUp() override {
        base::set_log_sink([](base::LogLevel, std::string_view, std::string_view) {});
    }
    void TearDown() override { base::set_log_sink(nullptr); }
};

TEST_F(StoreCrash, PowerCuts) {
    campaign({}, 1, 40,
             {"stored", "read", "replaced", "replaced by the crash", "compacted", "crash at work",
              "crash in open"});
}

TEST_F(StoreCrash, PowerCutsAndLostIndexes) {
    campaign({.faults = {}, .lose_index = true}, 1000, 20, {"index lost", "compacted"});
}

TEST_F(StoreCrash, FailingWritesAndSyncs) {
    campaign({.faults = {.write_eio_ppm = 5000, .sync_eio_ppm = 10'000}}, 2000, 30, {"compacted"});
}

TEST_F(StoreCrash, FailingReads) {
    campaign({.faults = {.read_eio_ppm = 20'000}}, 3000, 12, {"compacted"});
}

TEST_F(StoreCrash, ASmallDisk) {
    campaign({.faults = {.capacity_bytes = 9 * kTinySegment}}, 4000, 12, {"compacted"});
}

TEST_F(StoreCrash, SlowDisk) { campaign({.faults = {.slow_ppm = 5000}}, 5000, 8, {"compacted"}); }

TEST_F(StoreCrash, BitRot) {
    campaign({.faults = {.bit_rot_ppm = 5000}, .lose_index = true, .rot = true}, 6000, 15,
             {"read", "compacted"});
}

Task<void> fixed_script(Trial* run) {
    auto& store = run->scene.store;
    constexpr auto kNew = Mode::kNew;
    constexpr auto kReplace = Mode::kReplace;
    for (std::uint64_t i = 0; i < 6; ++i) {
        co_await do_put(run, shard(i), kNew);
    }
    co_await do_write(run, shard(10), kNew);
    co_await do_write(run, shard(11), kNew);
    co_await do_put(run, shard(5), kReplace);
    co_await do_write(run, shard(11), kReplace);
    for (std::uint64_t i = 0; i < 5; ++i) {
        co_await do_remove(run, shard(i));
    }
    co_await do_remove(run, shard(10));
    co_await run->scene.machine.world().clock.sleep(std::chrono::seconds(2));
    co_await do_put(run, shard(1), kNew);
    co_await do_write(run, shard(11), kReplace);
    auto compacted = co_await store->compact_one();
    if (!compacted) run->broken("compact", {});
    co_await do_write(run, shard(12), kNew);
}

TEST_F(StoreCrash, EveryBoundaryOfAFixedScript) {
    std::uint64_t boundaries = 0;
    for (bool finished = false; !finished; ++boundaries) {
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            Trial run(seed);
            run.scene.machine.crash_at_io(boundaries + 1, [&run] { run.scene.crash_only(); });
            if (run.scene.open() && run.scene.run(fixed_script(&run))) {
                finished = true;
                run.scene.machine.disarm_crash();
                run.scene.crash_only();
            }
            run.scene.machine.boot();
            finale(&run);
            ASSERT_EQ(run.failure, "") << "boundary " << boundaries << " seed " << seed;
            ASSERT_FALSE(HasFailure()) << "boundary " << boundaries << " seed " << seed;
        }
    }
    EXPECT_GT(boundaries, 60U);
}

TEST_F(StoreCrash, SameSeedSameTrace) {
    std::uint64_t hash = 0;
    for (int i = 0; i < 2; ++i) {
        Trial run(77);
        incarnation(&run, 0);
        if (i == 0) hash = run.scene.sim.trace_hash();
        EXPECT_EQ(run.scene.sim.trace_hash(), hash);
    }
}

}  // namespace
}  // namespace hamster::shards
