#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtime/sim/simulator.h"
#include "runtime/sync.h"

namespace hamster::runtime::sim {
namespace {

using base::Buffer;
using base::kBlock;

std::vector<Bytes> one(Bytes bytes) { return {bytes}; }
std::vector<Bytes> text(std::string_view content) { return {base::as_bytes(content)}; }

Buffer block(char fill, std::size_t size = kBlock) {
    Buffer buffer(size);
    buffer.resize(size);
    std::ranges::fill(buffer.writable(), static_cast<std::byte>(fill));
    return buffer;
}

template <class T>
void expect_ok(const Result<T>& result) {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().context);
}

Task<std::unique_ptr<File>> create(World* world, std::string path) {
    auto file = co_await world->disk.open(std::move(path), Disk::Mode::kCreate);
    expect_ok(file);
    auto synced = co_await world->disk.sync_dir("");
    expect_ok(synced);
    co_return std::move(*file);
}

Task<std::string> read_all(File* file) {
    std::string content(*file->size(), '?');
    auto n = co_await file->read(
        0, MutableBytes(reinterpret_cast<std::byte*>(content.data()), content.size()));
    expect_ok(n);
    co_return content.substr(0, n.value_or(0));
}

Task<void> write_and_read(World* world) {
    auto file = co_await create(world, "f");
    auto written = co_await file->write(3, text("hello"));
    expect_ok(written);
    const std::string content = co_await read_all(file.get());
    EXPECT_EQ(content, std::string("\0\0\0hello", 8));
    auto cut = co_await file->truncate(5);
    expect_ok(cut);
    auto grown = co_await file->truncate(8);
    expect_ok(grown);
    const std::string zeroed = co_await read_all(file.get());
    EXPECT_EQ(zeroed, std::string("\0\0\0he\0\0\0", 8));
    auto removed = co_await world->disk.remove("absent");
    EXPECT_EQ(removed.error().code, Code::kNotFound);
    auto no_parent = co_await world->disk.open("a/b", Disk::Mode::kCreate);
    EXPECT_EQ(no_parent.error().code, Code::kNotFound);
}

TEST(SimDisk, ReadsWhatWasWritten) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    World& world = machine.boot();
    EXPECT_TRUE(sim.run_on(machine, write_and_read(&world)));
}

Task<void> small_files(World* world) {
    auto made = co_await world->disk.make_dir("a/b");
    expect_ok(made);
    auto written = co_await write_file(&world->disk, "a/b/f", "one");
    expect_ok(written);
    auto replaced = co_await write_file(&world->disk, "a/b/f", "two");
    expect_ok(replaced);
    auto content = co_await read_file(&world->disk, "a/b/f", 10);
    EXPECT_EQ(*content, "two");
    auto too_large = co_await read_file(&world->disk, "a/b/f", 2);
    EXPECT_EQ(too_large.error().code, Code::kTooLarge);
    auto names = co_await world->disk.list("a/b");
    EXPECT_EQ(*names, std::vector<std::string>{"f"});
    auto missing = co_await world->disk.list("c");
    EXPECT_EQ(missing.error().code, Code::kNotFound);
}

TEST(SimDisk, SmallFilesAreReplaced) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    World& world = machine.boot();
    EXPECT_TRUE(sim.run_on(machine, small_files(&world)));
}

Task<void> write_synced_and_not(World* world) {
    auto file = co_await create(world, "f");
    const Buffer durable = block('d');
    auto through = co_await file->write_durable(0, one(durable.bytes()));
    expect_ok(through);
    const Buffer synced = block('s');
    auto cached = co_await file->write(kBlock, one(synced.bytes()));
    expect_ok(cached);
    auto sync = co_await file->sync();
    expect_ok(sync);
    const Buffer unsynced = block('u', 4 * kBlock);
    auto lost = co_await file->write(2 * kBlock, one(unsynced.bytes()));
    expect_ok(lost);
}

// What survived: only bytes that were written, and in the durable part all of them.
TEST(SimDisk, CrashKeepsSyncedAndTearsTheRest) {
    std::set<std::string> outcomes;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Simulator sim(seed);
        Machine& machine = sim.machine("a");
        World& world = machine.boot();
        EXPECT_TRUE(sim.run_on(machine, write_synced_and_not(&world)));
        machine.crash({});
        const auto content = machine.durable_content("f");
        ASSERT_TRUE(content.has_value());
        ASSERT_GE(content->size(), 2 * kBlock);
        EXPECT_EQ(content->substr(0, kBlock), std::string(kBlock, 'd'));
        EXPECT_EQ(content->substr(kBlock, kBlock), std::string(kBlock, 's'));
        const std::string rest = content->substr(2 * kBlock);
        EXPECT_EQ(rest.find_first_not_of(std::string_view("u\0", 2)), std::string::npos);
        outcomes.insert(rest);
    }
    EXPECT_TRUE(outcomes.contains(""));
    EXPECT_TRUE(outcomes.contains(std::string(4 * kBlock, 'u')));
    EXPECT_TRUE(outcomes.contains(std::string(4 * kBlock, '\0')));
    EXPECT_GT(outcomes.size(), 20U);
    const bool torn_inside_sector = std::ranges::any_of(
        outcomes, [](const std::string& rest) { return rest.size() % kBlock % 512 != 0; });
    EXPECT_TRUE(torn_inside_sector);
}

Task<void> overwrite(World* world, bool* done) {
    auto file = co_await create(world, "f");
    const Buffer before = block('a', 2 * kBlock);
    auto first = co_await file->write_durable(0, one(before.bytes()));
    expect_ok(first);
    *done = true;
    const Buffer after = block('b', 2 * kBlock);
    auto second = co_await file->write_durable(0, one(after.bytes()));
    expect_ok(second);
}

TEST(SimDisk, DurableWriteInFlightIsWholeAbsentOrTorn) {
    int whole = 0;
    int absent = 0;
    int torn = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Simulator sim(seed);
        Machine& machine = sim.machine("a");
        World& world = machine.boot();
        bool done = false;
        // create 2, sync_dir 3, first write 3, then: before, in the middle
        machine.crash_at_io(2 + 3 + 3 + 2, [&] { machine.crash({}); });
        EXPECT_FALSE(sim.run_on(machine, overwrite(&world, &done)));
        EXPECT_TRUE(done);
        const auto content = machine.durable_content("f");
        const auto b = std::ranges::count(*content, 'b');
        EXPECT_EQ(std::ranges::count(*content, 'a') + b, 2 * kBlock);
        ++(b == 0 ? absent : b == 2 * kBlock ? whole : torn);
    }
    EXPECT_GT(whole, 10);
    EXPECT_GT(absent, 10);
    EXPECT_GT(torn, 10);
}

// An older change that was never synced must not come back over a newer durable one.
Task<void> durable_over_cached(World* world) {
    auto file = co_await create(world, "f");
    auto allocated = co_await file->allocate(0, 8 * kBlock, true);
    expect_ok(allocated);
    const Buffer cached = block('c', 2 * kBlock);
    auto written = co_await file->write(kBlock, one(cached.bytes()));
    expect_ok(written);
    const Buffer durable = block('d');
    auto through = co_await file->write_durable(2 * kBlock, one(durable.bytes()));
    expect_ok(through);
}

TEST(SimDisk, UnsyncedChangesDoNotUndoDurableWrites) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Simulator sim(seed);
        Machine& machine = sim.machine("a");
        World& world = machine.boot();
        EXPECT_TRUE(sim.run_on(machine, durable_over_cached(&world)));
        machine.crash({});
        const auto content = machine.durable_content("f");
        ASSERT_GE(content->size(), 3 * kBlock);
        EXPECT_EQ(content->substr(2 * kBlock, kBlock), std::string(kBlock, 'd'));
    }
}

Task<void> create_without_sync(World* world) {
    auto file = co_await world->disk.open("g", Disk::Mode::kCreate);
    expect_ok(file);
    auto written = co_await (*file)->write(0, text("x"));
    expect_ok(written);
    auto synced = co_await (*file)->sync();
    expect_ok(synced);
    auto renamed = co_await world->disk.rename("f", "h");
    expect_ok(renamed);
}

Task<void> create_f(World* world) {
    auto file = co_await create(world, "f");
    EXPECT_NE(file, nullptr);
}

TEST(SimDisk, NamesAreDurableOnlyAfterSyncDir) {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Simulator sim(seed);
        Machine& machine = sim.machine("a");
        World& world = machine.boot();
        EXPECT_TRUE(sim.run_on(machine, create_f(&world)));
        EXPECT_TRUE(sim.run_on(machine, create_without_sync(&world)));
        machine.crash({});
        std::string names;
        for (const char* name : {"f", "g", "h"}) {
            if (machine.durable_content(name)) names += name;
        }
        seen.insert(names);
    }
    EXPECT_EQ(seen, (std::set<std::string>{"f", "fg", "gh", "h"}));
}

Task<void> fail_one_sync(World* world, Machine* machine) {
    auto file = co_await create(world, "f");
    auto written = co_await file->write(0, text("lost"));
    expect_ok(written);
    machine->set_faults({.sync_eio_ppm = 1'000'000});
    auto failed = co_await file->sync();
    EXPECT_EQ(failed.error().code, Code::kIo);
    machine->set_faults({});
    auto again = co_await file->sync();
    expect_ok(again);
    const std::string content = co_await read_all(file.get());
    EXPECT_EQ(content, "lost");
}

TEST(SimDisk, FailedSyncDropsTheDataAndTheNextSucceeds) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    World& world = machine.boot();
    EXPECT_TRUE(sim.run_on(machine, fail_one_sync(&world, &machine)));
    machine.crash({});
    EXPECT_EQ(*machine.durable_content("f"), "");
}

Task<void> fill_disk(World* world, Machine* machine) {
    auto file = co_await create(world, "f");
    auto reserved = co_await file->allocate(0, 3 * kBlock, false);
    expect_ok(reserved);
    const Buffer two = block('x', 2 * kBlock);
    auto refused = co_await file->write_durable(3 * kBlock, one(two.bytes()));
    EXPECT_EQ(refused.error().code, Code::kNoSpace);
    auto too_much = co_await file->allocate(0, 5 * kBlock, false);
    EXPECT_EQ(too_much.error().code, Code::kNoSpace);
    auto inside = co_await file->write_durable(kBlock, one(two.bytes()));
    expect_ok(inside);
    auto cut = co_await file->truncate(3 * kBlock);
    expect_ok(cut);
    EXPECT_EQ(machine->allocated_bytes(), 3 * kBlock);
    auto punched = co_await file->punch(0, kBlock + 100);
    expect_ok(punched);
    EXPECT_EQ(machine->allocated_bytes(), 2 * kBlock);
    auto fits = co_await file->write_durable(3 * kBlock, one(two.bytes()));
    expect_ok(fits);
    auto removed = co_await world->disk.remove("f");
    expect_ok(removed);
    EXPECT_EQ(machine->allocated_bytes(), 4 * kBlock);  // still open
    file.reset();
    EXPECT_EQ(machine->allocated_bytes(), 0U);
    EXPECT_EQ(world->disk.space()->free_bytes, 4 * kBlock);
}

TEST(SimDisk, SpaceIsCountedAndGivenBack) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        Simulator sim(seed);
        Machine& machine = sim.machine("a");
        machine.set_faults({.capacity_bytes = 4 * kBlock});
        World& world = machine.boot();
        EXPECT_TRUE(sim.run_on(machine, fill_disk(&world, &machine)));
    }
}

Task<void> rot(World* world, Machine* machine) {
    auto file = co_await create(world, "f");
    const Buffer good = block('g');
    auto written = co_await file->write_durable(0, one(good.bytes()));
    expect_ok(written);
    machine->set_faults({.bit_rot_ppm = 1'000'000});
    const std::string bad = co_await read_all(file.get());
    EXPECT_NE(bad, std::string(kBlock, 'g'));
    machine->set_faults({.read_eio_ppm = 1'000'000});
    Buffer out(kBlock);
    out.resize(kBlock);
    auto failed = co_await file->read(0, out.writable());
    EXPECT_EQ(failed.error().code, Code::kIo);
    machine->set_faults({});
    const std::string still_bad = co_await read_all(file.get());
    EXPECT_EQ(still_bad, bad);
}

TEST(SimDisk, BitRotIsSticky) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    World& world = machine.boot();
    EXPECT_TRUE(sim.run_on(machine, rot(&world, &machine)));
}

// The property that everything above rests on: a random mix of operations with a crash at each
// boundary in turn never loses or changes a block whose last durable write was answered, unless a
// later write to it was under way.
struct Model {
    struct Block {
        char last_answered = '\0';
        std::set<char> possible;  // later writes that were not answered as durable
    };
    std::map<std::uint64_t, Block> blocks;
};

constexpr std::uint64_t kBlocks = 16;

Task<void> mixed_work(World* world, Model* model) {
    auto file = co_await create(world, "f");
    for (int step = 0; step < 30; ++step) {
        const std::uint64_t at = world->random.below(kBlocks);
        const char fill = static_cast<char>('a' + step % 26);
        const Buffer data = block(fill);
        auto& before = model->blocks[at];
        if (world->random.below(3) == 0) {
            std::vector<char> settled;
            auto synced = co_await file->sync();
            expect_ok(synced);
            for (auto& [index, entry] : model->blocks) {
                if (entry.possible.size() == 1) {
                    entry.last_answered = *entry.possible.begin();
                    entry.possible.clear();
                }
            }
        } else if (before.possible.empty()) {
            before.possible.insert(fill);
            if (world->random.below(2) == 0) {
                auto written = co_await file->write_durable(at * kBlock, one(data.bytes()));
                expect_ok(written);
                model->blocks[at].last_answered = fill;
                model->blocks[at].possible.clear();
            } else {
                auto written = co_await file->write(at * kBlock, one(data.bytes()));
                expect_ok(written);
            }
        }
    }
}

void check(const Model& model, const std::string& content) {
    for (const auto& [index, entry] : model.blocks) {
        std::set<char> allowed = entry.possible;
        allowed.insert(entry.last_answered);
        for (std::uint64_t i = 0; i < kBlock; ++i) {
            const std::uint64_t at = index * kBlock + i;
            const char found = at < content.size() ? content[at] : '\0';
            ASSERT_TRUE(allowed.contains(found)) << index << " " << i << " " << int{found};
        }
    }
}

TEST(SimDisk, NoCrashPointLosesWhatWasAnswered) {
    int crashes = 0;
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        for (std::uint64_t n = 1;; ++n) {
            Simulator sim(seed);
            Machine& machine = sim.machine("a");
            World& world = machine.boot();
            Model model;
            machine.crash_at_io(n, [&] { machine.crash({}); });
            if (sim.run_on(machine, mixed_work(&world, &model))) break;
            ++crashes;
            const auto content = machine.durable_content("f");
            check(model, content.value_or(""));
        }
    }
    EXPECT_GT(crashes, 200);
}

Task<void> slow_reader(World* world, bool* failed) {
    auto file = co_await create(world, "f");
    for (;;) {
        auto synced = co_await file->sync();
        if (synced) continue;
        EXPECT_EQ(synced.error().code, Code::kIo);
        *failed = true;
        co_return;
    }
}

TEST(SimDisk, TasksOfOthersSeeAnErrorWhenTheMachineCrashes) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    World& world = machine.boot();
    bool failed = false;
    Gate gate;
    spawn(sim.harness().executor, gate, "other", slow_reader(&world, &failed));
    machine.crash_at_io(10, [&] { machine.crash({}); });
    EXPECT_TRUE(sim.run_until([&] { return failed; }, std::chrono::seconds(10)));
    sim.run(gate.close());
}

Task<void> misaligned(World* world) {
    auto file = co_await create(world, "f");
    auto written = co_await file->write_durable(0, text("short"));
    EXPECT_FALSE(written.has_value());
}

TEST(SimDiskDeathTest, DurableWritesMustBeAligned) {
    EXPECT_DEATH(
        {
            Simulator sim(1);
            sim.run(misaligned(&sim.harness()));
        },
        "kBlock");
}

TEST(SimDisk, HarnessCanDamageFiles) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    World& world = machine.boot();
    EXPECT_TRUE(sim.run_on(machine, write_synced_and_not(&world)));
    machine.flip_bit("f", 3);
    EXPECT_EQ((*machine.durable_content("f"))[0], 'd' ^ 8);
    EXPECT_EQ(machine.size_of("f"), 6 * kBlock);
    EXPECT_EQ(machine.size_of("g"), 0);
    EXPECT_EQ(machine.durable_names(""), std::vector<std::string>{"f"});
    EXPECT_TRUE(machine.durable_names("g").empty());
    machine.remove_file("f");
    EXPECT_FALSE(machine.durable_content("f").has_value());
}

Task<void> finds_nothing(World* world) {
    auto opened = co_await world->disk.open("f", Disk::Mode::kReadWrite);
    EXPECT_FALSE(opened.has_value());
    auto listed = co_await world->disk.list("");
    EXPECT_TRUE(listed.has_value() && listed->empty());
}

TEST(SimDisk, AnEmptyOneTakesItsPlace) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    EXPECT_TRUE(sim.run_on(machine, write_synced_and_not(&machine.boot())));
    EXPECT_GT(machine.allocated_bytes(), 0);
    machine.crash({});
    machine.empty_disk();
    EXPECT_EQ(machine.allocated_bytes(), 0);
    EXPECT_TRUE(machine.durable_names("").empty());
    EXPECT_TRUE(sim.run_on(machine, finds_nothing(&machine.boot())));
    EXPECT_TRUE(sim.run_on(machine, write_synced_and_not(&machine.world())));
    machine.crash({});
    EXPECT_EQ(machine.durable_names(""), std::vector<std::string>{"f"});
}

}  // namespace
}  // namespace hamster::runtime::sim
