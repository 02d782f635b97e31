// Pure arithmetic from a byte range of an object to the slices that cover it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "objects/service.h"
#include "proto/records.pb.h"

namespace hamster::objects {

// Bytes [offset, offset + length) of one blob.
struct Extent {
    base::BlobId blob;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t blob_size = 0;
    std::uint32_t slice_bytes = 0;  // 0 until the geometry has been looked up
    base::NodeId holder{};          // zero: this node
};

// What to read, and what of it to give out: `take` bytes after the first `skip` of a slice that
// must be `slice_size` bytes long.
struct SliceRead {
    base::BlobId blob;
    std::uint32_t stripe = 0;
    std::uint32_t slice_size = 0;
    std::uint32_t skip = 0;
    std::uint32_t take = 0;
    base::NodeId holder{};  // zero: this node
};

// The non-empty extents of `range` in the concatenation of `parts`. kInvalid when the range does
// not lie inside it, kCorrupt when a part of it names no blob.
Result<std::vector<Extent>> map_range(const std::vector<proto::Part>& parts, ByteRange range);

// Walks the slices of the extents in order.
class SliceCursor {
  public:
    explicit SliceCursor(std::vector<Extent> extents) : extents_(std::move(extents)) {}
    std::optional<SliceRead> next();

  private:
    std::vector<Extent> extents_;
    std::size_t at_ = 0;
    std::uint64_t done_ = 0;  // bytes of extents_[at_] already walked
};

}  // namespace hamster::objects
