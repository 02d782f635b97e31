// What is RocksDB's alone: full disks, failing disks, damaged files.
#include "kv/rocksdb_store.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "base/assert.h"
#include "runtime/sim/simulator.h"

namespace hamster::kv {
namespace {

namespace fs = std::filesystem;
using runtime::Task;
using runtime::sim::Simulator;

enum class Fault { kNone, kNoSpace, kIo };

class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
  public:
    FaultyFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::atomic<Fault>* fault)
        : FSWritableFileOwnerWrapper(std::move(file)), fault_(fault) {}
    using FSWritableFileOwnerWrapper::Append;
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* context) override {
        if (fault_->load() == Fault::kNoSpace) {
            auto status = rocksdb::IOStatus::NoSpace("injected");
            status.SetRetryable(true);
            return status;
        }
        if (fault_->load() == Fault::kIo) {
            return rocksdb::IOStatus::IOError("injected");
        }
        return FSWritableFileOwnerWrapper::Append(data, options, context);
    }

  private:
    std::atomic<Fault>* fault_;
};

// Table files fail to be written while `fault` says so.
class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
  public:
    FaultyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
    static const char* kClassName() { return "FaultyFileSystem"; }
    [[nodiscard]] const char* Name() const override { return kClassName(); }
    rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* out,
                                      rocksdb::IODebugContext* context) override {
        auto status = FileSystemWrapper::NewWritableFile(name, options, out, context);
        if (status.ok() && name.ends_with(".sst")) {
            *out = std::make_unique<FaultyFile>(std::move(*out), &fault);
        }
        return status;
    }
    std::atomic<Fault> fault{Fault::kNone};
};

class RocksDbTest : public testing::Test {
  public:
    ~RocksDbTest() override {
        store_.reset();
        fs::remove_all(dir_);
    }

  protected:
    RocksDbTest()
        : files_(std::make_shared<FaultyFileSystem>()),
          env_(rocksdb::NewCompositeEnv(files_)),
          dir_(fs::path(testing::TempDir()) / fmt::format("hamster-rocksdb-{}", ::getpid())) {
        fs::remove_all(dir_);
        fs::create_directories(dir_);
    }
    Result<void> open(Options options = {}) {
        store_.reset();
        TRY_ASSIGN(store_, open_rocksdb(&sim_.harness(), dir_.string(), options, env_.get()));
        return {};
    }
    Result<void> put(std::string_view key, std::string_view value) {
        auto batch = store_->batch();
        batch->put(key, value);
        return store_->write(*batch);
    }
    static Task<void> flush_task(RocksDbTest* t) { t->flushed_ = co_await t->store_->flush(); }
    Result<void> flush() {
        sim_.run(flush_task(this));
        return flushed_;
    }
    fs::path find_file(std::string_view suffix) {
        for (const auto& entry : fs::directory_iterator(dir_)) {
            if (entry.path().string().ends_with(suffix)) {
                return entry.path();
            }
        }
        return {};
    }

    Simulator sim_{1};
    std::shared_ptr<FaultyFileSystem> files_;
    std::unique_ptr<rocksdb::Env> env_;
    fs::path dir_;
    std::unique_ptr<Store> store_;
    Result<void> flushed_;
};

TEST_F(RocksDbTest, FullDiskIsSurvived) {
    ASSERT_TRUE(open());
    ASSERT_TRUE(put("before", "1"));
    files_->fault = Fault::kNoSpace;
    EXPECT_EQ(flush().error().code, Code::kNoSpace);
    EXPECT_EQ(*store_->get("before"), "1");
    EXPECT_EQ(put("during", "1").error().code, Code::kNoSpace);
    EXPECT_EQ(flush().error().code, Code::kNoSpace);  // still full
    files_->fault = Fault::kNone;
    ASSERT_TRUE(flush());
    ASSERT_TRUE(put("after", "1"));
    ASSERT_TRUE(flush());
    ASSERT_TRUE(open());
    EXPECT_EQ(*store_->get("before"), "1");
    EXPECT_EQ(*store_->get("after"), "1");
}

TEST_F(RocksDbTest, WritesTryAFullDiskAgain) {
    ASSERT_TRUE(open());
    ASSERT_TRUE(put("before", "1"));
    files_->fault = Fault::kNoSpace;
    EXPECT_EQ(flush().error().code, Code::kNoSpace);
    files_->fault = Fault::kNone;
    const bool recovered = sim_.run_until(
        [this] {
            sim_.run_for(std::chrono::milliseconds(100));
            return put("again", "1").has_value();
        },
        std::chrono::seconds(10));
    EXPECT_TRUE(recovered);
}

TEST_F(RocksDbTest, AFailedFlushIsFinal) {
    ASSERT_TRUE(open());
    ASSERT_TRUE(put("a", "1"));
    ASSERT_TRUE(flush());
    ASSERT_TRUE(put("b", "1"));
    files_->fault = Fault::kIo;
    EXPECT_EQ(flush().error().code, Code::kIo);
    files_->fault = Fault::kNone;
    EXPECT_EQ(put("c", "1").error().code, Code::kIo);
    EXPECT_FALSE(flush());
    EXPECT_EQ(*store_->get("a"), "1");  // reads go on
    ASSERT_TRUE(open());
    EXPECT_EQ(*store_->get("a"), "1");
    EXPECT_EQ(*store_->get("b"), std::nullopt);
}

TEST_F(RocksDbTest, DamagedTableIsCorrupt) {
    ASSERT_TRUE(open());
    ASSERT_TRUE(put("a", std::string(50'000, 'x')));
    ASSERT_TRUE(flush());
    store_.reset();
    const fs::path table = find_file(".sst");
    ASSERT_FALSE(table.empty());
    {
        std::fstream file(table, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(20);
        file.put('!');
    }
    ASSERT_TRUE(open());
    EXPECT_EQ(store_->get("a").error().code, Code::kCorrupt);
    auto it = store_->snapshot()->iterate();
    it->seek("");
    EXPECT_FALSE(it->valid());
    EXPECT_EQ(it->status().error().code, Code::kCorrupt);
}

TEST_F(RocksDbTest, MissingFilesAreCorrupt) {
    for (const char* suffix : {".sst", "CURRENT"}) {
        ASSERT_TRUE(open());
        ASSERT_TRUE(put("a", "1"));
        ASSERT_TRUE(flush());
        store_.reset();
        const fs::path file = find_file(suffix);
        fs::rename(file, dir_ / "aside");
        EXPECT_EQ(open().error().code, Code::kCorrupt) << suffix;
        fs::rename(dir_ / "aside", file);
    }
    for (const auto& entry : fs::directory_iterator(dir_)) {
        if (entry.path().filename().string().starts_with("MANIFEST")) {
            fs::remove(entry.path());
        }
    }
    EXPECT_EQ(open().error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace hamster::kv
