// The files of one log directory: naming, making the next one, recycling the oldest.
// Names: <epoch, 16 hex digits>.wal is part of the log; .free waits to be recycled; .new is being
// made and is removed when found. Directory changes are made one at a time, oldest file first, each
// durable before the next, so that a crash never leaves a hole in the numbering.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/sync.h"
#include "runtime/world.h"
#include "wal/recovery.h"

namespace hamster::wal {

struct LogFile {
    std::uint64_t epoch = 0;
    std::uint64_t seed = 0;
    std::uint64_t size = 0;
    bool has_groups = false;  // at least one group is durable in it
    std::unique_ptr<runtime::File> file;
};

std::string file_name(std::uint64_t epoch);  // without the directory

// What opening found. `files` have contiguous epochs; the last may be prepared but unused.
struct Recovered {
    Replay replay;
    std::vector<std::shared_ptr<LogFile>> files;
    std::size_t current = 0;   // index of the file to write to
    std::uint64_t offset = 0;  // where in it the next group goes
};

class Files {
  public:
    Files(runtime::World* world, std::string dir, std::uint64_t file_bytes,
          std::uint32_t spare_files);

    // Creates the directory when absent, recovers, and makes file 1 of a new log.
    runtime::Task<Result<Recovered>> open();
    // Makes the file of `epoch`, from a recycled one when there is one. Durable when it returns.
    runtime::Task<Result<std::shared_ptr<LogFile>>> make(std::uint64_t epoch);
    // Takes a file out of the log: kept for reuse, or removed when enough are.
    runtime::Task<Result<void>> recycle(std::uint64_t epoch);

  private:
    runtime::Task<Result<void>> make_dirs();
    // Epochs of the log's files in order; removes leftovers and remembers free files.
    runtime::Task<Result<std::vector<std::uint64_t>>> take_inventory();
    runtime::Task<Result<Recovered>> recover(std::vector<std::uint64_t> epochs);
    runtime::Task<Result<std::uint64_t>> scan(LogFile* file, FileHeader header, Replay* replay);
    runtime::Task<Result<std::unique_ptr<runtime::File>>> blank_file(std::string name);
    // A free file of the wanted size, or null.
    runtime::Task<Result<std::unique_ptr<runtime::File>>> reuse(std::string* name);
    runtime::Task<Result<void>> remove(std::string name);
    [[nodiscard]] std::string path(std::string_view name) const;

    runtime::World* world_;
    std::string dir_;
    std::uint64_t file_bytes_;
    std::uint32_t spare_files_;
    std::vector<std::string> free_;  // names
};

}  // namespace hamster::wal
