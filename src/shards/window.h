// Walks the records of a small segment's file, a bounded window at a time. Control loop.
#pragma once

#include <optional>

#include "runtime/world.h"
#include "shards/scan.h"

namespace hamster::shards {

class Window {
  public:
    static constexpr std::size_t kWindowBytes = 1 << 20;
    static_assert(kWindowBytes >= kMaxSpan + base::kBlock);

    // From `from` to `to` (or the end of the file). The file must outlive it.
    Window(runtime::File* file, std::uint32_t segment, std::uint64_t epoch, std::uint64_t from,
           std::uint64_t to);
    // The next record whose header verifies; its payload view lives until the next call. nullopt:
    // the end. kIo.
    runtime::Task<Result<std::optional<ScanRecord>>> next();

  private:
    runtime::Task<Result<void>> load();
    runtime::File* file_;
    const std::uint32_t segment_;
    const std::uint64_t epoch_;
    std::uint64_t at_;
    const std::uint64_t to_;
    base::Buffer buffer_;
    std::uint64_t start_ = 0;  // file offset of buffer_
    bool last_ = false;        // buffer_ reaches the end of the file, or `to`
};

}  // namespace hamster::shards
