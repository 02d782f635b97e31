#include "crypto/cluster_secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "runtime/prng.h"
#include "runtime/sim/simulator.h"

namespace hamster::crypto {
namespace {

using runtime::Disk;
using runtime::Task;
using testing::HasSubstr;

const std::string kPath = "cluster.secret";

using Outcome = Result<Key256>;

Outcome not_finished() { return fail(Code::kTimeout, "the task has not finished"); }

Task<void> do_load_or_create(Disk* disk, KeySource* keys, Outcome* out) {
    auto result = co_await load_or_create_cluster_secret(disk, keys, kPath);
    *out = std::move(result);
}

Task<void> do_load(Disk* disk, Outcome* out) {
    auto result = co_await load_cluster_secret(disk, kPath);
    *out = std::move(result);
}

Task<void> do_write(Disk* disk, std::string content) {
    auto result = co_await runtime::write_file(disk, kPath, std::move(content));
    EXPECT_TRUE(result);
}

class ClusterSecretTest : public testing::Test {
  protected:
    void SetUp() override { machine_.boot(); }
    void TearDown() override {
        machine_.crash([] {});
    }
    Disk* disk() { return &machine_.world().disk; }
    Outcome load_or_create() {
        Outcome out = not_finished();
        simulator_.run_on(machine_, do_load_or_create(disk(), &keys_, &out));
        return out;
    }
    Outcome load() {
        Outcome out = not_finished();
        simulator_.run_on(machine_, do_load(disk(), &out));
        return out;
    }
    void write(std::string content) {
        simulator_.run_on(machine_, do_write(disk(), std::move(content)));
    }
    void restart() {
        machine_.crash([] {});
        machine_.boot();
    }

    runtime::sim::Simulator simulator_{1};
    runtime::sim::Machine& machine_ = simulator_.machine("a");
    runtime::Prng prng_{7};
    PredictableKeySource keys_{&prng_};
};

TEST_F(ClusterSecretTest, CreatedOnceAndKeptAcrossACrash) {
    const Outcome created = load_or_create();
    ASSERT_TRUE(created);
    restart();
    const Outcome again = load_or_create();
    ASSERT_TRUE(again);
    EXPECT_TRUE(*again == *created);
    const Outcome loaded = load();
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(*loaded == *created);
    EXPECT_EQ(machine_.durable_content(kPath), std::string(base::as_text(created->bytes())));
}

TEST_F(ClusterSecretTest, LoadNeverCreates) {
    const Outcome loaded = load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::kNotFound);
    EXPECT_FALSE(machine_.durable_content(kPath));
}

TEST_F(ClusterSecretTest, RefusesAFileOfAnotherSizeAndLeavesIt) {
    for (const std::size_t size : {0U, 1U, 31U, 33U, 64U, 65537U}) {
        const std::string content(size, 'x');
        write(content);
        for (const Outcome& out : {load(), load_or_create()}) {
            ASSERT_FALSE(out) << size;
            EXPECT_EQ(out.error().code, Code::kCorrupt) << size;
            EXPECT_THAT(out.error().context, HasSubstr(kPath));
            EXPECT_THAT(out.error().context, HasSubstr("32"));
        }
        EXPECT_EQ(machine_.durable_content(kPath), content);
    }
}

// Whatever the disk answers, a device error is passed on and no other secret is made.
TEST_F(ClusterSecretTest, AReadErrorDoesNotReplaceTheSecret) {
    const Outcome created = load_or_create();
    ASSERT_TRUE(created);
    machine_.set_faults({.read_eio_ppm = 1000000});
    const Outcome failed = load_or_create();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::kIo);
    machine_.set_faults({});
    const Outcome again = load_or_create();
    ASSERT_TRUE(again);
    EXPECT_TRUE(*again == *created);
}

TEST_F(ClusterSecretTest, AFailedSyncIsAnErrorAndTheNextStartRecovers) {
    machine_.set_faults({.sync_eio_ppm = 1000000});
    const Outcome failed = load_or_create();
    EXPECT_FALSE(failed);
    machine_.set_faults({});
    restart();
    const Outcome created = load_or_create();
    ASSERT_TRUE(created);
}

// Crash at each disk boundary of the creation: the next start finds the whole secret or none, and
// a secret that was answered is the one that stays.
TEST(ClusterSecretCrash, AtEveryBoundary) {
    bool finished = false;
    for (std::uint64_t boundary = 1; !finished; ++boundary) {
        ASSERT_LT(boundary, 100U);
        runtime::sim::Simulator simulator(boundary);
        runtime::sim::Machine& machine = simulator.machine("a");
        runtime::Prng prng(7);
        PredictableKeySource keys(&prng);
        Outcome first = not_finished();
        Disk* disk = &machine.boot().disk;
        machine.crash_at_io(boundary, [&] { machine.crash([] {}); });
        finished = simulator.run_on(machine, do_load_or_create(disk, &keys, &first));
        machine.disarm_crash();
        if (machine.is_up()) machine.crash([] {});
        Outcome second = not_finished();
        disk = &machine.boot().disk;
        simulator.run_on(machine, do_load_or_create(disk, &keys, &second));
        ASSERT_TRUE(second) << "crash at boundary " << boundary;
        if (first) EXPECT_TRUE(*first == *second) << "crash at boundary " << boundary;
        machine.crash([] {});
    }
}

}  // namespace
}  // namespace hamster::crypto
