#include "kv/rocksdb_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace hamster::kv {
namespace {

constexpr int kMaxOpenFiles = 512;   // table files kept open
constexpr int kBackgroundJobs = 2;   // flushes and compactions at once
constexpr int kMaxWriteBuffers = 3;  // memtables: one filling, two being flushed
constexpr int kCacheShardBits = 2;   // four shards, against contention of a few loops
constexpr std::size_t kMetadataBlockBytes = 16 << 10;  // of partitioned filters and indexes
constexpr std::size_t kTableBlockBytes = 8 << 10;      // fewer index entries than with 4 KiB
constexpr double kBloomBits = 10;                      // per key: about 1 % false positives
constexpr double kMemtableBloomShare = 0.02;           // of a memtable: about 10 bits per row
constexpr std::size_t kInfoLogBytes = 1 << 20;         // RocksDB's own log: two files of this
constexpr runtime::Micros kResumeEvery = std::chrono::seconds(1);

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(const rocksdb::Slice& text) { return {text.data(), text.size()}; }

Error to_error(const rocksdb::Status& status) {
    Code code = Code::kIo;
    if (status.IsNoSpace()) {
        code = Code::kNoSpace;
    } else if (status.IsCorruption()) {
        code = Code::kCorrupt;
    } else if (status.IsIncomplete() || status.IsBusy() || status.IsTryAgain()) {
        code = Code::kUnavailable;
    }
    return Error{code, "metadata store: " + status.ToString()};
}

Result<void> to_result(const rocksdb::Status& status) {
    if (!status.ok()) {
        return std::unexpected(to_error(status));
    }
    return {};
}

// How the store is doing, as RocksDB's threads report it.
enum class Health : int {
    kGood,
    kFull,    // a flush or compaction found no space; resumed once there is some
    kFailed,  // anything else: no write is accepted until the store is opened again
};

// RocksDB resumes by itself only for some errors, on a thread of its own and while writers may
// block on it. Here nothing resumes by itself: a full disk is tried again by the next flush() or
// write(), and every other error is final.
class HealthListener final : public rocksdb::EventListener {
  public:
    void OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                           rocksdb::Status* status) override {
        using Severity = rocksdb::Status::Severity;
        if (!status->IsNoSpace()) {
            change_health(Health::kFailed);
            LOG_ERROR("kv", "the metadata store stops taking writes: {}", status->ToString());
            return;
        }
        if (health() == Health::kGood) {
            change_health(Health::kFull);
            LOG_WARN("kv", "no space for the metadata store ({})", static_cast<int>(reason));
        }
        // The unflushed data stays in memory, so this is never more than RocksDB can resume from;
        // without a log of its own it would call it fatal.
        if (status->severity() > Severity::kHardError) {
            *status = rocksdb::Status(*status, Severity::kHardError);
        }
    }
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason /*reason*/, rocksdb::Status status,
                              bool* automatic) override {
        status.PermitUncheckedError();
        *automatic = false;
    }
    // After the tables are on stable storage and the manifest names them.
    void OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& info) override {
        note_flushed(info.largest_seqno);
    }

    void note_flushed(rocksdb::SequenceNumber seq) {
        {
            const std::lock_guard lock(mutex_);
            flushed_ = std::max(flushed_, seq);
        }
        changed_.notify_all();
    }
    // Blocks until everything up to `seq` is flushed (true) or the health is no longer good.
    bool wait_flushed(rocksdb::SequenceNumber seq) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return flushed_ >= seq || health() != Health::kGood; });
        return flushed_ >= seq;
    }
    [[nodiscard]] Health health() const { return health_.load(); }
    void change_health(Health to) {
        {
            const std::lock_guard lock(mutex_);
            health_.store(to);
        }
        changed_.notify_all();
    }

  private:
    std::atomic<Health> health_{Health::kGood};
    std::mutex mutex_;
    std::condition_variable changed_;
    rocksdb::SequenceNumber flushed_ = 0;
};

// What outlives the Store while work for it is on the pool.
struct Database {
    std::shared_ptr<HealthListener> listener;
    std::unique_ptr<rocksdb::DB> db;
    std::atomic<bool> resuming{false};

    // Blocking. After a full disk: tries whether there is space again.
    Result<void> resume() {
        switch (listener->health()) {
            case Health::kGood:
                return {};
            case Health::kFailed:
                return fail(Code::kIo, "metadata store: it failed earlier");
            case Health::kFull:
                break;
        }
        // Before Resume(), so that an error it meets on its way is not forgotten.
        listener->change_health(Health::kGood);
        const rocksdb::Status status = db->Resume();
        if (!status.ok()) {
            listener->change_health(status.IsNoSpace() || status.IsBusy() ? Health::kFull
                                                                          : Health::kFailed);
        }
        return to_result(status);
    }
    // Blocking. Flush() alone is not believed: after a resume RocksDB 7.8 answers OK before the
    // table exists. Log records are dropped on this answer, so what counts is that a completed
    // flush covered the last write.
    Result<void> flush() {
        TRY(resume());
        const rocksdb::SequenceNumber last = db->GetLatestSequenceNumber();
        TRY(to_result(db->Flush(rocksdb::FlushOptions())));
        if (!listener->wait_flushed(last)) {
            return listener->health() == Health::kFull
                       ? fail(Code::kNoSpace, "metadata store: no space to flush")
                       : fail(Code::kIo, "metadata store: the flush failed");
        }
        return {};
    }
};

class RocksBatch final : public Batch {
  public:
    void put(std::string_view key, std::string_view value) override {
        check(batch_.Put(slice(key), slice(value)));
    }
    void erase(std::string_view key) override { check(batch_.Delete(slice(key))); }
    void erase_range(std::string_view from, std::string_view to) override {
        if (from < to) {
            check(batch_.DeleteRange(slice(from), slice(to)));
        }
    }
    void clear() override { batch_.Clear(); }
    [[nodiscard]] std::size_t bytes() const override { return batch_.GetDataSize(); }
    rocksdb::WriteBatch& raw() { return batch_; }

  private:
    // Filling memory fails only for keys or batches past 4 GiB.
    static void check(const rocksdb::Status& status) {
        HAMSTER_ASSERT(status.ok(), status.ToString());
    }
    rocksdb::WriteBatch batch_;
};

class RocksIterator final : public Iterator {
  public:
    explicit RocksIterator(std::unique_ptr<rocksdb::Iterator> it) : it_(std::move(it)) {}
    void seek(std::string_view key) override { it_->Seek(slice(key)); }
    void seek_for_prev(std::string_view key) override { it_->SeekForPrev(slice(key)); }
    void next() override { it_->Next(); }
    void prev() override { it_->Prev(); }
    [[nodiscard]] bool valid() const override { return it_->Valid(); }
    [[nodiscard]] std::string_view key() const override { return view(it_->key()); }
    [[nodiscard]] std::string_view value() const override { return view(it_->value()); }
    [[nodiscard]] Result<void> status() const override { return to_result(it_->status()); }

  private:
    std::unique_ptr<rocksdb::Iterator> it_;
};

Result<std::optional<std::string>> get_from(rocksdb::DB* db, const rocksdb::ReadOptions& options,
                                            std::string_view key) {
    std::string value;
    const rocksdb::Status status = db->Get(options, slice(key), &value);
    if (status.IsNotFound()) {
        return std::nullopt;
    }
    TRY(to_result(status));
    return value;
}

class RocksSnapshot final : public Snapshot {
  public:
    explicit RocksSnapshot(rocksdb::DB* db) : db_(db) { options_.snapshot = db->GetSnapshot(); }
    ~RocksSnapshot() override { db_->ReleaseSnapshot(options_.snapshot); }
    RocksSnapshot(const RocksSnapshot&) = delete;
    RocksSnapshot& operator=(const RocksSnapshot&) = delete;
    [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override {
        return get_from(db_, options_, key);
    }
    [[nodiscard]] std::unique_ptr<Iterator> iterate() const override {
        return std::make_unique<RocksIterator>(
            std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(options_)));
    }

  private:
    rocksdb::DB* db_;
    rocksdb::ReadOptions options_;
};

class RocksStore final : public Store {
  public:
    RocksStore(runtime::World* world, std::shared_ptr<Database> database)
        : world_(world), database_(std::move(database)) {}

    std::unique_ptr<Batch> batch() override { return std::make_unique<RocksBatch>(); }

    Result<void> write(Batch& batch) override {
        const Health health = database_->listener->health();
        if (health == Health::kFailed) {
            return fail(Code::kIo, "metadata store: it failed earlier");
        }
        if (health == Health::kFull) {
            resume_in_background();
        }
        rocksdb::WriteOptions options;
        options.disableWAL = true;
        return to_result(database_->db->Write(options, &static_cast<RocksBatch&>(batch).raw()));
    }

    [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override {
        return get_from(database_->db.get(), rocksdb::ReadOptions(), key);
    }

    std::shared_ptr<const Snapshot> snapshot() const override {
        return std::make_shared<RocksSnapshot>(database_->db.get());
    }

    runtime::Task<Result<void>> flush() override {
        auto work = [database = database_] { return database->flush(); };
        co_return co_await runtime::run_blocking(&world_->pool, std::move(work));
    }

    [[nodiscard]] std::uint64_t disk_bytes() const override {
        return property("rocksdb.total-sst-files-size");
    }
    [[nodiscard]] std::uint64_t unflushed_bytes() const override {
        return property("rocksdb.cur-size-all-mem-tables");
    }

  private:
    [[nodiscard]] std::uint64_t property(const char* name) const {
        std::uint64_t value = 0;
        return database_->db->GetIntProperty(name, &value) ? value : 0;
    }
    void resume_in_background() {
        const runtime::Time now = world_->clock.now();
        if (now < next_resume_ || database_->resuming.exchange(true)) {
            return;
        }
        next_resume_ = now + kResumeEvery;
        auto work = [database = database_] {
            const auto flushed = database->flush();
            (void)flushed;  // the health says what came of it
            database->resuming.store(false);
        };
        world_->pool.post(std::move(work), runtime::WorkKind::kWaits);
    }

    runtime::World* world_;
    std::shared_ptr<Database> database_;
    runtime::Time next_resume_{INT64_MIN};
};

rocksdb::Options tuned(const Options& options, rocksdb::Env* env) {
    rocksdb::Options out;
    if (env != nullptr) {
        out.env = env;
    }
    out.create_if_missing = true;
    out.paranoid_checks = true;
    out.max_open_files = kMaxOpenFiles;
    out.max_background_jobs = kBackgroundJobs;
    out.write_buffer_size = options.write_buffer_bytes;
    out.max_write_buffer_number = kMaxWriteBuffers;
    // Most gets ask for rows that are new and cannot be there: no search for them.
    out.memtable_whole_key_filtering = true;
    out.memtable_prefix_bloom_size_ratio = kMemtableBloomShare;
    out.avoid_flush_during_shutdown = true;  // a destructor does no I/O; flush() does
    out.max_bgerror_resume_count = 0;        // see HealthListener
    out.level_compaction_dynamic_level_bytes = true;
    out.compression = rocksdb::kLZ4Compression;
    out.bottommost_compression = rocksdb::kZSTD;
    out.bytes_per_sync = 1 << 20;  // spreads the write-back of large tables
    out.info_log_level = rocksdb::WARN_LEVEL;
    out.max_log_file_size = kInfoLogBytes;
    out.keep_log_file_num = 2;
    out.stats_dump_period_sec = 0;
    out.stats_persist_period_sec = 0;
    rocksdb::BlockBasedTableOptions table;
    // Few shards and partitioned filters and indexes: by default the cache splits into pieces of
    // about 1 MiB, and a whole filter that fits none of them is read and checked again by every
    // get.
    table.block_cache = rocksdb::NewLRUCache(options.cache_bytes, kCacheShardBits);
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.metadata_block_size = kMetadataBlockBytes;
    table.cache_index_and_filter_blocks = true;  // inside the cache's bound
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBits));
    table.block_size = kTableBlockBytes;
    table.format_version = 5;
    table.checksum = rocksdb::kXXH3;
    out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return out;
}

// With create_if_missing RocksDB would start afresh beside the tables of a store that lost its
// CURRENT file.
Result<void> refuse_headless(rocksdb::Env* env, const std::string& path) {
    std::vector<std::string> names;
    const rocksdb::Status listed = env->GetChildren(path, &names);
    if (listed.IsNotFound()) {
        return {};
    }
    TRY(to_result(listed));
    bool tables = false;
    bool current = false;
    for (const std::string& name : names) {
        tables = tables || name.ends_with(".sst");
        current = current || name == "CURRENT";
    }
    if (tables && !current) {
        return fail(Code::kCorrupt, "metadata store: its CURRENT file is missing");
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_rocksdb(runtime::World* world, const std::string& path,
                                            Options options, rocksdb::Env* env) {
    auto database = std::make_shared<Database>();
    database->listener = std::make_shared<HealthListener>();
    rocksdb::Options tuning = tuned(options, env);
    tuning.listeners.push_back(database->listener);
    TRY(refuse_headless(tuning.env, path));
    rocksdb::DB* db = nullptr;
    const rocksdb::Status opened = rocksdb::DB::Open(tuning, path, &db);
    if (!opened.ok()) {
        Error error = to_error(opened);
        // It made its directory itself, so a file that is not there was lost.
        if (opened.IsPathNotFound() || opened.IsNotFound() || opened.IsInvalidArgument()) {
            error.code = Code::kCorrupt;
        }
        return std::unexpected(std::move(error));
    }
    database->db.reset(db);
    database->listener->note_flushed(db->GetLatestSequenceNumber());  // no log: all is in tables
    return std::make_unique<RocksStore>(world, std::move(database));
}

}  // namespace hamster::kv
