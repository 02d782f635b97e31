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
        extents.push_back({*blob, offset, length, size, nullptr});
        missing -= length;
        from += length;
        part_start += size;
    }
    if (missing != 0) return fail(Code::kInvalid, "the range ends beyond the object");
    return extents;
}

std::vector<SlicePart> parts_of(const StripeRead& read) {
    HAMSTER_ASSERT(read.take > 0);
    const Shape& shape = read.blob->shape;
    const std::uint64_t size = shape.slice_length(read.stripe);
    const std::uint64_t end = read.skip + read.take;
    HAMSTER_ASSERT(end <= shape.body_length(read.stripe), end, read.stripe);
    std::vector<SlicePart> parts;
    for (std::uint64_t at = read.skip; at < end;) {
        const std::uint64_t skip = at % size;
        const std::uint64_t take = std::min(size - skip, end - at);
        parts.push_back({base::Slot{static_cast<std::uint8_t>(at / size)},
                         static_cast<std::uint32_t>(skip), static_cast<std::uint32_t>(take)});
        at += take;
    }
    return parts;
}

std::optional<StripeRead> StripeCursor::next() {
    if (at_ == extents_.size()) return std::nullopt;
    const Extent& extent = extents_[at_];
    HAMSTER_ASSERT(extent.blob != nullptr);
    HAMSTER_ASSERT(extent.offset + extent.length <= extent.blob_size, extent.offset, extent.length);
    const Shape& shape = extent.blob->shape;
    const std::uint64_t position = extent.offset + done_;
    const std::uint64_t stripe_bytes = shape.geometry.stripe_bytes();
    const auto stripe = static_cast<std::uint32_t>(position / stripe_bytes);
    const std::uint64_t skip = position % stripe_bytes;
    const std::uint64_t take = std::min(shape.body_length(stripe) - skip, extent.length - done_);
    HAMSTER_ASSERT(take > 0, position, extent.length);
    StripeRead read{extent.blob, stripe, skip, take};
    done_ += take;
    if (done_ == extent.length) {
        ++at_;
        done_ = 0;
    }
    return read;
}

}  // namespace hamster::objects
