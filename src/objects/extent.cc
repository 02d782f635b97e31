#include "objects/extent.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace hamster::objects {

Result<std::vector<Extent>> map_range(const std::vector<proto::Part>& parts, ByteRange range) {
    std::vector<Extent> extents;
    std::uint64_t part_start = 0;
    std::uint64_t missing = range.length;
    std::uint64_t from = range.offset;
    for (const proto::Part& part : parts) {
        if (missing == 0) break;
        const std::uint64_t size = part.size();
        if (from - part_start >= size) {  // ends before the range; empty parts too
            part_start += size;
            continue;
        }
        const auto blob = base::BlobId::from_bytes(part.blob_id());
        if (!blob) return fail(Code::kCorrupt, "a part with data names no blob");
        const std::uint64_t offset = from - part_start;
        const std::uint64_t length = std::min(missing, size - offset);
        extents.push_back({*blob, offset, length, size, 0, {}});
        missing -= length;
        from += length;
        part_start += size;
    }
    if (missing != 0) return fail(Code::kInvalid, "the range ends beyond the object");
    return extents;
}

std::optional<SliceRead> SliceCursor::next() {
    if (at_ == extents_.size()) return std::nullopt;
    const Extent& extent = extents_[at_];
    HAMSTER_ASSERT(extent.slice_bytes > 0);
    HAMSTER_ASSERT(extent.offset + extent.length <= extent.blob_size, extent.offset, extent.length);
    const std::uint64_t position = extent.offset + done_;
    const std::uint64_t stripe = position / extent.slice_bytes;
    const std::uint64_t start = stripe * extent.slice_bytes;
    const std::uint64_t size =
        std::min<std::uint64_t>(extent.slice_bytes, extent.blob_size - start);
    const std::uint64_t skip = position - start;
    const std::uint64_t take = std::min(size - skip, extent.length - done_);
    HAMSTER_ASSERT(take > 0, position, extent.length);
    const SliceRead read{extent.blob,
                         static_cast<std::uint32_t>(stripe),
                         static_cast<std::uint32_t>(size),
                         static_cast<std::uint32_t>(skip),
                         static_cast<std::uint32_t>(take),
                         extent.holder};
    done_ += take;
    if (done_ == extent.length) {
        ++at_;
        done_ = 0;
    }
    return read;
}

}  // namespace hamster::objects
