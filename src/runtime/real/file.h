// An open file on Linux: buffered reads and writes on one descriptor, durable writes past the page
// cache on a second one where the file system allows it.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "runtime/real/os.h"
#include "runtime/world.h"

namespace hamster::runtime::real {

// What an operation in flight shares with its handle. All calls block; any thread.
struct OpenFile {
    OpenFile(std::string of, Fd buffered_fd, Fd direct_fd)
        : path(std::move(of)),
          buffered(std::move(buffered_fd)),
          direct(std::move(direct_fd)),
          use_direct(static_cast<bool>(direct)) {}

    Result<std::size_t> read(std::uint64_t offset, MutableBytes out) const;
    Result<void> write(std::uint64_t offset, const std::vector<Bytes>& pieces) const;
    Result<void> write_durable(std::uint64_t offset, const std::vector<Bytes>& pieces);
    Result<void> sync() const;
    Result<void> allocate(std::uint64_t offset, std::uint64_t length, bool zeroed);
    Result<void> punch(std::uint64_t offset, std::uint64_t length) const;
    Result<void> truncate(std::uint64_t size) const;
    Result<std::uint64_t> size() const;

    const std::string path;  // for messages
    const Fd buffered;
    const Fd direct;  // none when the file system has no O_DIRECT, or for reading only
    // Off for good once the file system refused a direct write after all.
    std::atomic<bool> use_direct;
};

// `direct` may be empty.
std::unique_ptr<File> make_file(std::shared_ptr<OpenFile> file, BlockingPool* pool);

}  // namespace hamster::runtime::real
