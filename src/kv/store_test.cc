// What every Store promises, against both implementations.
#include "kv/store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/assert.h"
#include "kv/memory_store.h"
#include "kv/rocksdb_store.h"
#include "runtime/sim/simulator.h"

namespace hamster::kv {
namespace {

using runtime::Task;
using runtime::sim::Machine;
using runtime::sim::Simulator;
using Rows = std::map<std::string, std::string>;

template <class T>
void expect_ok(const Result<T>& result) {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().context);
}

// A place that keeps a store's files across crashes.
class Home {
  public:
    virtual ~Home() = default;
    virtual void open() = 0;
    virtual void crash() = 0;  // and opens again
    virtual Result<void> flush() = 0;
    std::unique_ptr<Store> store;
};

class MemoryHome final : public Home {
  public:
    MemoryHome() : machine_(sim_.machine("m")) { machine_.boot(); }
    ~MemoryHome() override { end(); }
    void open() override { EXPECT_TRUE(sim_.run_on(machine_, open_task(this))); }
    void crash() override {
        end();
        machine_.boot();
        open();
    }
    Result<void> flush() override {
        EXPECT_TRUE(sim_.run_on(machine_, flush_task(this)));
        return flushed_;
    }

  private:
    void end() {
        machine_.crash([this] { store.reset(); });
    }
    static Task<void> open_task(MemoryHome* home) {
        auto opened = co_await kv::open(&home->machine_.world(), "kv", Options());
        expect_ok(opened);
        home->store = std::move(*opened);
    }
    static Task<void> flush_task(MemoryHome* home) {
        home->flushed_ = co_await home->store->flush();
    }
    Simulator sim_{1};
    Machine& machine_;
    Result<void> flushed_;
};

// The pool of the simulator runs RocksDB inline. A process that dies without flushing loses
// exactly what RocksDB has not written to tables: closing it does the same.
class RocksHome final : public Home {
  public:
    RocksHome()
        : dir_(std::filesystem::path(testing::TempDir()) /
               fmt::format("hamster-kv-{}-{}", ::getpid(), ++count_)) {
        std::filesystem::create_directories(dir_);
    }
    ~RocksHome() override {
        store.reset();
        std::filesystem::remove_all(dir_);
    }
    void open() override {
        auto opened = open_rocksdb(&sim_.harness(), dir_.string(), Options(), nullptr);
        expect_ok(opened);
        store = std::move(*opened);
    }
    void crash() override {
        store.reset();
        open();
    }
    Result<void> flush() override {
        sim_.run(flush_task(this));
        return flushed_;
    }

  private:
    static Task<void> flush_task(RocksHome* home) {
        home->flushed_ = co_await home->store->flush();
    }
    inline static int count_ = 0;
    Simulator sim_{1};
    std::filesystem::path dir_;
    Result<void> flushed_;
};

class StoreTest : public testing::TestWithParam<bool> {
  protected:
    StoreTest() {
        home_ = GetParam() ? std::unique_ptr<Home>(std::make_unique<RocksHome>())
                           : std::make_unique<MemoryHome>();
        home_->open();
    }
    Store& store() { return *home_->store; }
    void put(std::string_view key, std::string_view value) {
        auto batch = store().batch();
        batch->put(key, value);
        expect_ok(store().write(*batch));
    }
    static Rows rows_of(const Snapshot& snapshot) {
        Rows out;
        auto it = snapshot.iterate();
        for (it->seek(""); it->valid(); it->next()) {
            out.emplace(it->key(), it->value());
        }
        expect_ok(it->status());
        return out;
    }
    Rows rows() { return rows_of(*store().snapshot()); }

    std::unique_ptr<Home> home_;
};

INSTANTIATE_TEST_SUITE_P(Kv, StoreTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "RocksDb" : "Memory"; });

TEST_P(StoreTest, PutGetErase) {
    put("a", "1");
    put("b", "");
    EXPECT_EQ(*store().get("a"), "1");
    EXPECT_EQ(*store().get("b"), "");
    EXPECT_EQ(*store().get("c"), std::nullopt);
    auto batch = store().batch();
    batch->erase("a");
    batch->erase("never there");
    expect_ok(store().write(*batch));
    EXPECT_EQ(*store().get("a"), std::nullopt);
}

TEST_P(StoreTest, KeysAreBytesInLexicographicOrder) {
    const std::string zero("a\0b", 3);
    const std::string high = "a\xff";
    for (const std::string& key : {high, zero, std::string("a"), std::string("aa")}) {
        put(key, key);
    }
    auto it = store().snapshot()->iterate();
    std::vector<std::string> keys;
    for (it->seek("a"); it->valid(); it->next()) {
        keys.emplace_back(it->key());
    }
    EXPECT_EQ(keys, (std::vector<std::string>{"a", zero, "aa", high}));
}

TEST_P(StoreTest, BatchAppliesInOrder) {
    put("x1", "old");
    auto batch = store().batch();
    batch->put("k", "1");
    batch->erase("k");
    batch->put("k", "2");
    batch->erase_range("x", "y");
    batch->put("x2", "new");
    EXPECT_GT(batch->bytes(), 0U);
    expect_ok(store().write(*batch));
    EXPECT_EQ(rows(), (Rows{{"k", "2"}, {"x2", "new"}}));
    batch->clear();
    batch->put("z", "z");
    expect_ok(store().write(*batch));
    EXPECT_EQ(rows(), (Rows{{"k", "2"}, {"x2", "new"}, {"z", "z"}}));
}

TEST_P(StoreTest, EraseRangeIsHalfOpen) {
    for (const char* key : {"a", "b", "c", "d"}) {
        put(key, "v");
    }
    auto batch = store().batch();
    batch->erase_range("b", "d");
    batch->erase_range("z", "a");  // empty
    expect_ok(store().write(*batch));
    EXPECT_EQ(rows(), (Rows{{"a", "v"}, {"d", "v"}}));
}

TEST_P(StoreTest, SnapshotsDoNotMove) {
    put("a", "1");
    put("b", "1");
    const auto before = store().snapshot();
    auto it = before->iterate();
    it->seek("a");
    put("a", "2");
    put("aa", "2");
    auto batch = store().batch();
    batch->erase_range("b", "c");
    expect_ok(store().write(*batch));
    expect_ok(home_->flush());
    EXPECT_EQ(*before->get("a"), "1");
    EXPECT_EQ(*before->get("b"), "1");
    EXPECT_EQ(rows_of(*before), (Rows{{"a", "1"}, {"b", "1"}}));
    EXPECT_EQ(it->value(), "1");
    it->next();
    ASSERT_TRUE(it->valid());
    EXPECT_EQ(it->key(), "b");
    EXPECT_EQ(rows(), (Rows{{"a", "2"}, {"aa", "2"}}));
}

TEST_P(StoreTest, IteratorMovesBothWays) {
    for (const char* key : {"b", "d", "f"}) {
        put(key, std::string(key) + key);
    }
    auto it = store().snapshot()->iterate();
    it->seek("c");
    EXPECT_EQ(it->key(), "d");
    it->prev();
    EXPECT_EQ(it->key(), "b");
    EXPECT_EQ(it->value(), "bb");
    it->prev();
    EXPECT_FALSE(it->valid());
    it->seek_for_prev("e");
    EXPECT_EQ(it->key(), "d");
    it->next();
    EXPECT_EQ(it->key(), "f");
    it->next();
    EXPECT_FALSE(it->valid());
    it->seek_for_prev("d");
    EXPECT_EQ(it->key(), "d");
    it->seek_for_prev("a");
    EXPECT_FALSE(it->valid());
    it->seek("g");
    EXPECT_FALSE(it->valid());
    expect_ok(it->status());
}

TEST_P(StoreTest, FlushedSurvivesACrash) {
    put("a", "1");
    expect_ok(home_->flush());
    expect_ok(home_->flush());  // nothing new
    EXPECT_GT(store().disk_bytes(), 0U);
    home_->crash();
    EXPECT_EQ(rows(), (Rows{{"a", "1"}}));
    put("b", "2");
    auto batch = store().batch();
    batch->erase_range("a", "b");
    expect_ok(store().write(*batch));
    expect_ok(home_->flush());
    home_->crash();
    EXPECT_EQ(rows(), (Rows{{"b", "2"}}));
}

TEST_P(StoreTest, ACrashLosesWholeBatchesFromTheEnd) {
    constexpr int kBatches = 300;
    constexpr int kFlushAt = 120;
    const std::string filler(2000, 'f');
    for (int i = 0; i < kBatches; ++i) {
        auto batch = store().batch();
        batch->put("count", std::to_string(i + 1));
        batch->put(fmt::format("row {:04}", i), filler);
        expect_ok(store().write(*batch));
        if (i + 1 == kFlushAt) {
            expect_ok(home_->flush());
        }
    }
    home_->crash();
    const auto count = std::stoi(store().get("count")->value());
    EXPECT_GE(count, kFlushAt);
    const Rows found = rows();
    EXPECT_EQ(found.size(), static_cast<std::size_t>(count) + 1);
    EXPECT_TRUE(found.contains(fmt::format("row {:04}", count - 1)));
}

TEST_P(StoreTest, AgreesWithAModel) {
    Simulator dice(7);
    auto& random = dice.harness().random;
    const auto key = [&random] { return fmt::format("k{}", random.below(200)); };
    Rows model;
    Rows flushed;
    for (int round = 0; round < 400; ++round) {
        auto batch = store().batch();
        for (std::uint64_t i = random.below(8); i > 0; --i) {
            const std::uint64_t what = random.below(10);
            if (what < 6) {
                const std::string k = key();
                const std::string v = std::to_string(random.next());
                batch->put(k, v);
                model[k] = v;
            } else if (what < 9) {
                const std::string k = key();
                batch->erase(k);
                model.erase(k);
            } else {
                const std::string from = key();
                const std::string to = from + "5";
                batch->erase_range(from, to);
                model.erase(model.lower_bound(from), model.lower_bound(to));
            }
        }
        expect_ok(store().write(*batch));
        if (random.below(20) == 0) {
            expect_ok(home_->flush());
            flushed = model;
        }
        if (random.below(50) == 0) {
            home_->crash();
            model = flushed;
        }
        ASSERT_EQ(rows(), model) << round;
    }
}

TEST_P(StoreTest, UnflushedBytesFall) {
    put("a", std::string(100'000, 'x'));
    const std::uint64_t before = store().unflushed_bytes();
    EXPECT_GE(before, 100'000U);
    expect_ok(home_->flush());
    EXPECT_LT(store().unflushed_bytes(), before);
}

}  // namespace
}  // namespace hamster::kv
