#include "kv/memory_store.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "runtime/sim/simulator.h"

namespace hamster::kv {
namespace {

using runtime::Task;
using runtime::sim::DiskFaults;
using runtime::sim::Machine;
using runtime::sim::Simulator;

TEST(MemoryStore, GoldenFile) {
    Tree tree = tree_put(tree_put(nullptr, "key", "value"), "a", "");
    const std::string bytes = encode_tree(tree);
    EXPECT_EQ(base::hex_encode(base::as_bytes(bytes)),
              "48414d4b56000001000000000000000200000001610000000000000003"
              "6b65790000000576616c7565dd913c8311bcf470");
}

TEST(MemoryStore, DamagedFileIsCorrupt) {
    std::string bytes = encode_tree(tree_put(nullptr, "key", "value"));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(bytes[i] ^ 4);
        EXPECT_EQ(decode_tree(bytes).error().code, Code::kCorrupt) << i;
        bytes[i] = static_cast<char>(bytes[i] ^ 4);
        EXPECT_FALSE(decode_tree(std::string_view(bytes).substr(0, i))) << i;
    }
    EXPECT_TRUE(decode_tree(bytes));
}

struct Scene {
    runtime::World* world = nullptr;
    std::unique_ptr<Store> store;
    std::optional<Error> error;
    int flushed = 0;
};

Task<void> open_store(Scene* scene) {
    auto opened = co_await kv::open(scene->world, "kv", Options());
    if (opened) {
        scene->store = std::move(*opened);
    } else {
        scene->error = opened.error();
    }
}

Task<void> write_and_flush(Scene* scene, int rounds) {
    for (int i = 1; i <= rounds; ++i) {
        auto batch = scene->store->batch();
        batch->put("count", std::to_string(i));
        auto written = scene->store->write(*batch);
        EXPECT_TRUE(written.has_value());
        auto flushed = co_await scene->store->flush();
        if (flushed) {
            scene->flushed = i;
        } else {
            scene->error = flushed.error();
            break;
        }
    }
}

TEST(MemoryStore, CrashesKeepWhatWasFlushed) {
    for (std::uint64_t boundary = 1; boundary < 80; ++boundary) {
        Simulator sim(boundary);
        Machine& machine = sim.machine("m");
        Scene scene;
        scene.world = &machine.boot();
        machine.crash_at_io(boundary, [&] { machine.crash([&] { scene.store.reset(); }); });
        if (sim.run_on(machine, open_store(&scene)) &&
            sim.run_on(machine, write_and_flush(&scene, 5))) {
            machine.disarm_crash();
            machine.crash([&] { scene.store.reset(); });
        }
        scene.world = &machine.boot();
        ASSERT_TRUE(sim.run_on(machine, open_store(&scene)));
        ASSERT_FALSE(scene.error) << scene.error->context;
        const auto count = scene.store->get("count");
        const int found = *count ? std::stoi(**count) : 0;
        EXPECT_GE(found, scene.flushed) << boundary;
        EXPECT_LE(found, scene.flushed + 1) << boundary;
        machine.crash([&] { scene.store.reset(); });
    }
}

TEST(MemoryStore, RotIsCorruptAndAFailedFlushStops) {
    Simulator sim(1);
    Machine& machine = sim.machine("m");
    Scene scene;
    scene.world = &machine.boot();
    ASSERT_TRUE(sim.run_on(machine, open_store(&scene)));
    machine.set_faults(DiskFaults{.capacity_bytes = 0});
    ASSERT_TRUE(sim.run_on(machine, write_and_flush(&scene, 1)));
    EXPECT_EQ(scene.error->code, Code::kNoSpace);
    machine.set_faults(DiskFaults{});
    ASSERT_TRUE(sim.run_on(machine, write_and_flush(&scene, 1)));
    EXPECT_EQ(scene.flushed, 1);
    machine.set_faults(DiskFaults{.sync_eio_ppm = 1'000'000});
    ASSERT_TRUE(sim.run_on(machine, write_and_flush(&scene, 1)));
    EXPECT_EQ(scene.error->code, Code::kIo);
    machine.set_faults(DiskFaults{});
    auto batch = scene.store->batch();
    EXPECT_EQ(scene.store->write(*batch).error().code, Code::kIo);
    batch.reset();
    machine.crash([&] { scene.store.reset(); });
    machine.flip_bit("kv/content", 77);
    scene.world = &machine.boot();
    ASSERT_TRUE(sim.run_on(machine, open_store(&scene)));
    EXPECT_EQ(scene.error->code, Code::kCorrupt);
    machine.crash([&] { scene.store.reset(); });
}

}  // namespace
}  // namespace hamster::kv
