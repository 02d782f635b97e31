// Pure arithmetic from a byte range of an object to the slices that cover it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/layout.h"
#include "objects/service.h"
#include "objects/shape.h"
#include "proto/records.pb.h"

namespace hamster::objects {

// What the metadata says about a blob that is read: how it is cut, and where its shards lie.
struct BlobMap {
    base::BlobId id;  // that the shards bear; parts may call it by another
    Shape shape;
    proto::Blob row;                                      // whole, for meta::places_of()
    std::shared_ptr<const meta::PartitionPlaces> places;  // null: there are no other nodes
};

// Bytes [offset, offset + length) of one blob.
struct Extent {
    base::BlobId named;  // as the part calls it
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t blob_size = 0;
    std::shared_ptr<const BlobMap> blob;  // null until it has been looked up
};

// What to read of one stripe: `take` bytes after the first `skip` of the body's bytes in it.
struct StripeRead {
    std::shared_ptr<const BlobMap> blob;
    std::uint32_t stripe = 0;
    std::uint64_t skip = 0;
    std::uint64_t take = 0;
};

// What of one data slice: `take` bytes after the first `skip`.
struct SlicePart {
    base::Slot slot;
    std::uint32_t skip = 0;
    std::uint32_t take = 0;
    bool operator==(const SlicePart&) const = default;
};

// The non-empty extents of `range` in the concatenation of `parts`. kInvalid when the range does
// not lie inside it, kCorrupt when a part of it names no blob.
Result<std::vector<Extent>> map_range(const std::vector<proto::Part>& parts, ByteRange range);

// The data slices that a read needs, none more, in order. With k = 1 it is that of slot 0, of which
// all other slots have a copy.
std::vector<SlicePart> parts_of(const StripeRead& read);

// Walks the stripes of the extents in order.
class StripeCursor {
  public:
    explicit StripeCursor(std::vector<Extent> extents) : extents_(std::move(extents)) {}
    std::optional<StripeRead> next();
    [[nodiscard]] bool is_at_end() const { return at_ == extents_.size(); }

  private:
    std::vector<Extent> extents_;
    std::size_t at_ = 0;
    std::uint64_t done_ = 0;  // bytes of extents_[at_] already walked
};

}  // namespace hamster::objects
