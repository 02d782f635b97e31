#include "wal/wal.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/assert.h"
#include "runtime/sim/simulator.h"

namespace hamster::wal {
namespace {

using runtime::Task;
using runtime::World;
using runtime::sim::DiskFaults;
using runtime::sim::Machine;
using runtime::sim::Simulator;

constexpr Options kTinyFiles{
    .file_bytes = 8 * base::kBlock, .max_group_bytes = 8192, .spare_files = 1};
constexpr const char* kFile1 = "a/log/0000000000000001.wal";
constexpr const char* kFile2 = "a/log/0000000000000002.wal";

template <class T>
void expect_ok(const Result<T>& result) {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().context);
}

using Records = std::map<std::uint64_t, std::string>;

// A machine with one log on it, and every step of a test as a plain call.
class WalTest : public testing::Test {
  public:
    ~WalTest() override {
        if (machine_.is_up()) {
            machine_.crash([this] { wal_.reset(); });
        }
    }

  protected:
    WalTest() : machine_(sim_.machine("m")) { machine_.boot(); }

    static Task<void> open_task(WalTest* t) {
        auto opened = co_await Wal::open(&t->machine_.world(), "a/log", t->options_, &t->metrics_);
        if (opened) {
            t->wal_ = std::move(*opened);
        } else {
            t->error_ = opened.error();
        }
    }
    Result<void> open() {
        error_.reset();
        EXPECT_TRUE(sim_.run_on(machine_, open_task(this)));
        if (error_) {
            return std::unexpected(*error_);
        }
        return {};
    }
    void crash() {
        machine_.crash([this] { wal_.reset(); });
        machine_.boot();
    }
    static Task<void> close_task(WalTest* t) {
        co_await t->wal_->stop();
        t->wal_.reset();
    }
    void close() { EXPECT_TRUE(sim_.run_on(machine_, close_task(this))); }

    static Task<void> append_task(WalTest* t, std::string record) {
        t->appended_ = co_await t->wal_->append(std::move(record));
    }
    Result<std::uint64_t> append(std::string record) {
        EXPECT_TRUE(sim_.run_on(machine_, append_task(this, std::move(record))));
        return appended_;
    }
    static Task<void> call_task(WalTest* t, Task<Result<void>> call) {
        t->called_ = co_await std::move(call);
    }
    Result<void> call(Task<Result<void>> task) {
        EXPECT_TRUE(sim_.run_on(machine_, call_task(this, std::move(task))));
        return called_;
    }
    Records read(std::uint64_t from, std::uint64_t to) {
        Records out;
        const auto done = call(wal_->read(from, to, [&out](std::uint64_t seq, base::Bytes record) {
            out[seq] = base::as_text(record);
            return Result<void>{};
        }));
        expect_ok(done);
        return out;
    }
    Records read_all() { return read(wal_->first(), wal_->next()); }

    Simulator sim_{1};
    Machine& machine_;
    base::Metrics metrics_;
    Options options_ = kTinyFiles;
    std::unique_ptr<Wal> wal_;
    std::optional<Error> error_;
    Result<std::uint64_t> appended_ = 0;
    Result<void> called_;
};

TEST_F(WalTest, NewLogStartsAtOne) {
    expect_ok(open());
    EXPECT_EQ(wal_->first(), 1U);
    EXPECT_EQ(wal_->next(), 1U);
    crash();
    expect_ok(open());
    EXPECT_EQ(wal_->next(), 1U);
}

TEST_F(WalTest, ReadsBackAfterCrash) {
    expect_ok(open());
    Records expected;
    for (std::uint64_t i = 1; i <= 50; ++i) {
        expected[i] = std::string(i * 37, static_cast<char>('a' + i % 26));
        EXPECT_EQ(append(expected[i]), i);
    }
    EXPECT_EQ(read_all(), expected);
    EXPECT_EQ(read(7, 9), (Records{{7, expected[7]}, {8, expected[8]}}));
    crash();
    expect_ok(open());
    EXPECT_EQ(wal_->first(), 1U);
    EXPECT_EQ(wal_->next(), 51U);
    EXPECT_EQ(read_all(), expected);
    EXPECT_EQ(append("more"), 51U);
}

TEST_F(WalTest, StopThenReopen) {
    expect_ok(open());
    expect_ok(append("a"));
    close();
    expect_ok(open());
    EXPECT_EQ(read_all(), (Records{{1, "a"}}));
}

Task<void> append_many(Wal* wal, int n, std::vector<std::uint64_t>* numbers) {
    for (int i = 0; i < n; ++i) {
        auto number = co_await wal->append("record");
        expect_ok(number);
        numbers->push_back(*number);
    }
}

TEST_F(WalTest, OverlappingAppendsShareWrites) {
    options_ = Options{.file_bytes = 1 << 20, .max_group_bytes = 64 << 10, .spare_files = 1};
    expect_ok(open());
    runtime::Gate gate;
    std::vector<std::uint64_t> numbers;
    for (int i = 0; i < 64; ++i) {
        runtime::spawn(machine_.world().executor, gate, "append",
                       append_many(wal_.get(), 10, &numbers));
    }
    EXPECT_TRUE(sim_.run_on(machine_, gate.close()));
    EXPECT_EQ(numbers.size(), 640U);
    EXPECT_EQ(wal_->next(), 641U);
    // Whoever waits shares: at most two rounds of writes per round of appends.
    const auto groups = metrics_.counter("hamster_wal_groups_total", "").value();
    EXPECT_LE(groups, 25U);
    EXPECT_EQ(metrics_.counter("hamster_wal_records_total", "").value(), 640U);
    EXPECT_EQ(metrics_.histogram("hamster_wal_sync_seconds", "").count(), groups);
}

TEST_F(WalTest, RefusesWhatDoesNotFit) {
    expect_ok(open());
    EXPECT_EQ(append(std::string(8 * base::kBlock, 'x')).error().code, Code::kTooLarge);
    EXPECT_EQ(append(std::string(7 * base::kBlock - 56, 'x')), 1U);  // exactly one file
    EXPECT_EQ(append("y"), 2U);
    crash();
    expect_ok(open());
    EXPECT_EQ(read_all().size(), 2U);
}

TEST_F(WalTest, AppendAtChecksTheNumber) {
    expect_ok(open());
    expect_ok(call(wal_->append_at(1, "a")));
    EXPECT_EQ(call(wal_->append_at(3, "c")).error().code, Code::kConflict);
    expect_ok(call(wal_->append_at(2, "b")));
}

TEST_F(WalTest, DropBeforeRecyclesFiles) {
    expect_ok(open());
    for (int i = 0; i < 100; ++i) {
        expect_ok(append(std::string(3000, 'x')));
        if (i % 10 == 9) {
            expect_ok(call(wal_->drop_before(wal_->next())));
        }
    }
    EXPECT_GT(wal_->first(), 90U);
    // The current file, the next one and a spare; a hundred blocks went through them.
    EXPECT_LE(machine_.allocated_bytes(), 4 * options_.file_bytes);
    const Records before = read_all();
    const std::uint64_t first = wal_->first();
    crash();
    expect_ok(open());
    EXPECT_EQ(wal_->first(), first);
    EXPECT_EQ(wal_->next(), 101U);
    EXPECT_EQ(read_all(), before);
    EXPECT_EQ(call(wal_->read(1, 2, [](auto, auto) { return Result<void>{}; })).error().code,
              Code::kNotFound);
}

TEST_F(WalTest, DropFromForgets) {
    expect_ok(open());
    for (int i = 0; i < 20; ++i) {
        expect_ok(append(fmt::format("old {}", i)));
    }
    expect_ok(call(wal_->drop_from(11)));
    EXPECT_EQ(wal_->next(), 11U);
    EXPECT_EQ(append("new"), 11U);
    expect_ok(call(wal_->drop_from(30)));  // nothing there
    Records expected = read_all();
    EXPECT_EQ(expected.size(), 11U);
    EXPECT_EQ(expected[10], "old 9");
    EXPECT_EQ(expected[11], "new");
    crash();
    expect_ok(open());
    EXPECT_EQ(read_all(), expected);
    EXPECT_EQ(wal_->next(), 12U);
}

TEST_F(WalTest, ResetContinuesElsewhere) {
    expect_ok(open());
    for (int i = 0; i < 20; ++i) {
        expect_ok(append(std::string(2000, 'x')));
    }
    expect_ok(call(wal_->reset(500)));
    EXPECT_EQ(wal_->first(), 500U);
    EXPECT_EQ(wal_->next(), 500U);
    crash();
    expect_ok(open());
    EXPECT_EQ(wal_->first(), 500U);
    EXPECT_EQ(append("y"), 500U);
    crash();
    expect_ok(open());
    EXPECT_EQ(read_all(), (Records{{500, "y"}}));
}

TEST_F(WalTest, DamageInTheMiddleIsNamed) {
    expect_ok(open());
    for (int i = 0; i < 5; ++i) {
        expect_ok(append("record"));
    }
    machine_.crash([this] { wal_.reset(); });
    machine_.flip_bit(kFile1, (2 * base::kBlock + 40) * 8);
    machine_.boot();
    const auto opened = open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::kCorrupt);
    EXPECT_NE(opened.error().context.find(std::string(kFile1) + ": damaged at offset 8192"),
              std::string::npos)
        << opened.error().context;
}

TEST_F(WalTest, DamageAtTheEndOfAnEarlierFileIsSeen) {
    expect_ok(open());
    for (int i = 0; i < 9; ++i) {
        expect_ok(append("record"));  // the seventh is the last of file 1
    }
    machine_.crash([this] { wal_.reset(); });
    machine_.flip_bit(kFile1, (7 * base::kBlock + 40) * 8);
    machine_.boot();
    EXPECT_EQ(open().error().code, Code::kCorrupt);
}

TEST_F(WalTest, DamagedOrMissingFilesAreSeen) {
    expect_ok(open());
    for (int i = 0; i < 30; ++i) {
        expect_ok(append("record"));
    }
    machine_.crash([this] { wal_.reset(); });
    machine_.flip_bit(kFile2, 20 * 8);
    machine_.boot();
    EXPECT_NE(open().error().context.find(kFile2), std::string::npos);
    machine_.crash([] {});
    machine_.remove_file(kFile2);
    machine_.boot();
    EXPECT_EQ(open().error().code, Code::kCorrupt);
}

TEST_F(WalTest, ReadSeesRot) {
    expect_ok(open());
    expect_ok(append("a"));
    expect_ok(append("b"));
    machine_.flip_bit(kFile1, (2 * base::kBlock + 60) * 8);
    const auto nothing = [](std::uint64_t, base::Bytes) { return Result<void>{}; };
    expect_ok(call(wal_->read(1, 2, nothing)));
    const auto done = call(wal_->read(1, 3, nothing));
    EXPECT_EQ(done.error().code, Code::kCorrupt);
    EXPECT_NE(done.error().context.find("damaged at offset 8192"), std::string::npos);
}

TEST_F(WalTest, FailedSyncPoisons) {
    expect_ok(open());
    expect_ok(append("a"));
    machine_.set_faults(DiskFaults{.sync_eio_ppm = 1'000'000});
    EXPECT_EQ(append("b").error().code, Code::kIo);
    machine_.set_faults(DiskFaults{});
    EXPECT_EQ(append("c").error().code, Code::kIo);  // it would succeed, and is not tried
    EXPECT_EQ(call(wal_->drop_from(1)).error().code, Code::kIo);
    EXPECT_EQ(read_all(), (Records{{1, "a"}}));
    crash();
    expect_ok(open());
    EXPECT_EQ(read_all().begin()->second, "a");
}

TEST_F(WalTest, FullDiskFailsAndRecovers) {
    machine_.set_faults(DiskFaults{.capacity_bytes = 12 * base::kBlock});
    expect_ok(open());
    std::uint64_t written = 0;
    Result<std::uint64_t> last = 0;
    while ((last = append(std::string(3000, 'x')))) {
        written = *last;
        ASSERT_LT(written, 100U);
    }
    EXPECT_EQ(last.error().code, Code::kNoSpace);
    EXPECT_EQ(written, 7U);
    EXPECT_EQ(wal_->next(), 8U);
    machine_.set_faults(DiskFaults{});
    EXPECT_EQ(append("room"), 8U);
    crash();
    expect_ok(open());
    EXPECT_EQ(wal_->next(), 9U);
}

TEST_F(WalTest, ClosedAfterStop) {
    expect_ok(open());
    EXPECT_TRUE(sim_.run_on(machine_, wal_->stop()));
    EXPECT_EQ(append("x").error().code, Code::kClosed);
}

}  // namespace
}  // namespace hamster::wal
