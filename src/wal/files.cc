#include "wal/files.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/log.h"

namespace hamster::wal {
namespace {

constexpr std::string_view kLogSuffix = ".wal";
constexpr std::string_view kFreeSuffix = ".free";
constexpr std::size_t kEpochDigits = 16;

std::string stem_of(std::uint64_t epoch) { return fmt::format("{:016x}", epoch); }

std::optional<std::uint64_t> epoch_of(std::string_view name) {
    const auto raw = base::hex_decode(name.substr(0, kEpochDigits));
    if (!raw || raw->size() != sizeof(std::uint64_t)) {
        return std::nullopt;
    }
    const std::uint64_t epoch = base::get_be64(raw->data());
    return stem_of(epoch) + std::string(kLogSuffix) == name ? std::optional(epoch) : std::nullopt;
}

}  // namespace

std::string file_name(std::uint64_t epoch) { return stem_of(epoch) + std::string(kLogSuffix); }

Files::Files(runtime::World* world, std::string dir, std::uint64_t file_bytes,
             std::uint32_t spare_files)
    : world_(world), dir_(std::move(dir)), file_bytes_(file_bytes), spare_files_(spare_files) {
    HAMSTER_ASSERT(file_bytes_ % base::kBlock == 0, file_bytes_);
    HAMSTER_ASSERT(file_bytes_ >= 2 * base::kBlock, file_bytes_);
}

std::string Files::path(std::string_view name) const { return fmt::format("{}/{}", dir_, name); }

runtime::Task<Result<Recovered>> Files::open() {
    auto made = co_await make_dirs();
    CO_TRY(made);
    auto inventory = co_await take_inventory();
    CO_TRY_ASSIGN(auto epochs, inventory);
    if (epochs.empty()) {
        auto first = co_await make(1);
        CO_TRY_ASSIGN(auto file, first);
        Recovered fresh;
        fresh.files.push_back(std::move(file));
        fresh.offset = base::kBlock;
        co_return fresh;
    }
    co_return co_await recover(std::move(epochs));
}

runtime::Task<Result<void>> Files::make_dirs() {
    auto made = co_await world_->disk.make_dir(dir_);
    CO_TRY(made);
    // Every parent may be new, and each must survive a crash.
    std::string parent = dir_;
    while (!parent.empty()) {
        const std::size_t slash = parent.rfind('/');
        parent.resize(slash == std::string::npos ? 0 : slash);
        auto synced = co_await world_->disk.sync_dir(parent);
        CO_TRY(synced);
    }
    co_return Result<void>{};
}

runtime::Task<Result<std::vector<std::uint64_t>>> Files::take_inventory() {
    auto listed = co_await world_->disk.list(dir_);
    CO_TRY_ASSIGN(const auto names, listed);
    std::vector<std::uint64_t> epochs;
    std::vector<std::string> leftovers;
    for (const std::string& name : names) {
        if (const auto epoch = epoch_of(name)) {
            epochs.push_back(*epoch);
        } else if (name.ends_with(kFreeSuffix) && free_.size() < spare_files_) {
            free_.push_back(name);
        } else {
            leftovers.push_back(name);
        }
    }
    for (const std::string& name : leftovers) {
        auto removed = co_await remove(name);
        CO_TRY(removed);
    }
    for (std::size_t i = 1; i < epochs.size(); ++i) {
        if (epochs[i] != epochs[i - 1] + 1) {
            co_return fail(Code::kCorrupt, path(file_name(epochs[i - 1] + 1)) + " is missing");
        }
    }
    co_return epochs;
}

runtime::Task<Result<Recovered>> Files::recover(std::vector<std::uint64_t> epochs) {
    Recovered out;
    for (const std::uint64_t epoch : epochs) {
        const std::string name = path(file_name(epoch));
        auto opened = co_await world_->disk.open(name, runtime::Disk::Mode::kReadWrite);
        CO_TRY_ASSIGN(auto file, opened);
        CO_TRY_ASSIGN(const std::uint64_t size, file->size());
        base::Buffer block(base::kBlock);
        block.resize(base::kBlock);
        auto read = co_await file->read(0, block.writable());
        CO_TRY_ASSIGN(const std::size_t got, read);
        auto decoded = decode_file_header(block.bytes().first(got));
        if (decoded && decoded->epoch != epoch) {
            decoded = fail(Code::kCorrupt, fmt::format("holds file {}", decoded->epoch));
        }
        if (!decoded) {
            co_return fail(std::move(decoded).error(), name + ": at offset 0");
        }
        auto entry = std::make_shared<LogFile>(
            LogFile{epoch, decoded->seed(), size, false, std::move(file)});
        auto scanned = co_await scan(entry.get(), *decoded, &out.replay);
        CO_TRY_ASSIGN(const std::uint64_t end, scanned);
        if (entry->has_groups || out.files.empty()) {
            out.current = out.files.size();
            out.offset = end;
        }
        // A file is recycled only once a later one holds a group, so only file 1 may start empty.
        if (out.files.empty() && epoch > 1 && !entry->has_groups) {
            co_return fail(Code::kCorrupt,
                           fmt::format("{}: damaged at offset {}: no group", name, end));
        }
        out.files.push_back(std::move(entry));
    }
    // What a killed process wrote last may have been read from a cache: it counts from here on,
    // so it must be durable before anything is built on it.
    auto synced = co_await out.files[out.current]->file->sync();
    CO_TRY(synced);
    co_return out;
}

runtime::Task<Result<std::uint64_t>> Files::scan(LogFile* file, FileHeader header, Replay* replay) {
    FileScan scan(path(file_name(file->epoch)), header, file->size, replay);
    base::Buffer buffer(FileScan::kWindow);
    while (!scan.done()) {
        const FileScan::Range range = scan.want();
        if (range.length > buffer.capacity()) {
            buffer = base::Buffer(range.length);
        }
        buffer.resize(range.length);
        auto read = co_await file->file->read(range.offset, buffer.writable());
        CO_TRY_ASSIGN(const std::size_t got, read);
        CO_TRY(scan.feed(buffer.bytes().first(got)));
    }
    file->has_groups = scan.groups() > 0;
    co_return scan.end();
}

runtime::Task<Result<std::shared_ptr<LogFile>>> Files::make(std::uint64_t epoch) {
    std::string name;
    auto reused = co_await reuse(&name);
    CO_TRY_ASSIGN(auto file, reused);
    if (!file) {
        name = stem_of(epoch) + ".new";
        auto blank = co_await blank_file(name);
        if (!blank) {
            auto removed = co_await remove(name);  // give a full disk its space back
            CO_TRY(removed);
            co_return std::unexpected(std::move(blank).error());
        }
        file = std::move(*blank);
    }
    const FileHeader header{epoch, world_->random.next()};
    base::Buffer block(base::kBlock);
    block.resize(base::kBlock);
    encode_file_header(header, block.writable());
    std::vector<base::Bytes> pieces{block.bytes()};
    auto written = co_await file->write_durable(0, std::move(pieces));
    CO_TRY(written);
    auto renamed = co_await world_->disk.rename(path(name), path(file_name(epoch)));
    CO_TRY(renamed);
    auto synced = co_await world_->disk.sync_dir(dir_);
    CO_TRY(synced);
    CO_TRY_ASSIGN(const std::uint64_t size, file->size());
    co_return std::make_shared<LogFile>(
        LogFile{epoch, header.seed(), size, false, std::move(file)});
}

runtime::Task<Result<std::unique_ptr<runtime::File>>> Files::reuse(std::string* name) {
    while (!free_.empty()) {
        *name = free_.back();
        free_.pop_back();
        auto opened = co_await world_->disk.open(path(*name), runtime::Disk::Mode::kReadWrite);
        CO_TRY_ASSIGN(auto file, opened);
        CO_TRY_ASSIGN(const std::uint64_t size, file->size());
        if (size == file_bytes_) {
            co_return std::move(file);
        }
        file.reset();  // made under another configuration
        auto removed = co_await remove(*name);
        CO_TRY(removed);
    }
    co_return nullptr;
}

runtime::Task<Result<std::unique_ptr<runtime::File>>> Files::blank_file(std::string name) {
    auto opened = co_await world_->disk.open(path(name), runtime::Disk::Mode::kCreate);
    CO_TRY_ASSIGN(auto file, opened);
    auto allocated = co_await file->allocate(0, file_bytes_, true);
    CO_TRY(allocated);
    auto synced = co_await file->sync();
    CO_TRY(synced);
    co_return std::move(file);
}

runtime::Task<Result<void>> Files::recycle(std::uint64_t epoch) {
    const bool keep = free_.size() < spare_files_;
    const std::string name = file_name(epoch);
    if (!keep) {
        co_return co_await remove(name);
    }
    const std::string spare = stem_of(epoch) + std::string(kFreeSuffix);
    auto renamed = co_await world_->disk.rename(path(name), path(spare));
    CO_TRY(renamed);
    auto synced = co_await world_->disk.sync_dir(dir_);
    CO_TRY(synced);
    free_.push_back(spare);
    co_return Result<void>{};
}

runtime::Task<Result<void>> Files::remove(std::string name) {
    auto removed = co_await world_->disk.remove(path(name));
    if (!removed && removed.error().code != Code::kNotFound) {
        co_return removed;
    }
    co_return co_await world_->disk.sync_dir(dir_);
}

}  // namespace hamster::wal
