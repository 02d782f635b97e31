#include "shards/record.h"

#include <cstring>

#include "base/assert.h"
#include "base/hash.h"

namespace hamster::shards {

namespace {
// Byte positions inside the header.
constexpr std::size_t kAtMagic = 0;
constexpr std::size_t kAtVersion = 4;
constexpr std::size_t kAtKind = 5;
constexpr std::size_t kAtSlot = 6;
constexpr std::size_t kAtFlags = 7;
constexpr std::size_t kAtSegment = 8;
constexpr std::size_t kAtOffset = 12;
constexpr std::size_t kAtEpoch = 16;
constexpr std::size_t kAtLength = 24;
constexpr std::size_t kAtStripe = 28;
constexpr std::size_t kAtBlob = 32;
constexpr std::size_t kAtSequence = 48;
constexpr std::size_t kAtSealed = 56;
constexpr std::size_t kAtPayloadHash = 64;
constexpr std::size_t kAtHeaderHash = 72;
static_assert(kAtHeaderHash + 8 == kHeaderBytes);
}  // namespace

void encode_header(const Header& header, std::byte* out) {
    HAMSTER_ASSERT(header.length <= kSliceBytes, header.length);
    base::store_le32(out + kAtMagic, kRecordMagic);
    out[kAtVersion] = std::byte{kRecordVersion};
    out[kAtKind] = static_cast<std::byte>(header.kind);
    out[kAtSlot] = static_cast<std::byte>(header.slot.value);
    out[kAtFlags] = static_cast<std::byte>(header.flags);
    base::store_le32(out + kAtSegment, header.segment);
    base::store_le32(out + kAtOffset, header.offset);
    base::store_le64(out + kAtEpoch, header.epoch);
    base::store_le32(out + kAtLength, header.length);
    base::store_le32(out + kAtStripe, header.stripe);
    std::memcpy(out + kAtBlob, header.blob.raw.data(), header.blob.raw.size());
    base::store_le64(out + kAtSequence, header.sequence);
    base::store_le64(out + kAtSealed, header.sealed_ms);
    base::store_le64(out + kAtPayloadHash, header.payload_hash);
    base::store_le64(out + kAtHeaderHash, base::xxh3_64({out, kAtHeaderHash}));
}

Result<Header> decode_header(base::Bytes bytes) {
    if (bytes.size() < kHeaderBytes) return fail(Code::kCorrupt, "record header cut short");
    const std::byte* in = bytes.data();
    if (base::load_le32(in + kAtMagic) != kRecordMagic) {
        return fail(Code::kCorrupt, "no record here");
    }
    if (base::load_le64(in + kAtHeaderHash) != base::xxh3_64(bytes.first(kAtHeaderHash))) {
        return fail(Code::kCorrupt, "record header fails its checksum");
    }
    const auto kind = static_cast<std::uint8_t>(in[kAtKind]);
    const bool known = kind >= static_cast<std::uint8_t>(Kind::kSegment) &&
                       kind <= static_cast<std::uint8_t>(Kind::kSeal);
    if (in[kAtVersion] != std::byte{kRecordVersion} || !known) {
        return fail(Code::kUnsupported, "record of a newer version");
    }
    Header header;
    header.kind = static_cast<Kind>(kind);
    header.slot.value = static_cast<std::uint8_t>(in[kAtSlot]);
    header.flags = static_cast<std::uint8_t>(in[kAtFlags]);
    header.segment = base::load_le32(in + kAtSegment);
    header.offset = base::load_le32(in + kAtOffset);
    header.epoch = base::load_le64(in + kAtEpoch);
    header.length = base::load_le32(in + kAtLength);
    header.stripe = base::load_le32(in + kAtStripe);
    std::memcpy(header.blob.raw.data(), in + kAtBlob, header.blob.raw.size());
    header.sequence = base::load_le64(in + kAtSequence);
    header.sealed_ms = base::load_le64(in + kAtSealed);
    header.payload_hash = base::load_le64(in + kAtPayloadHash);
    if (header.length > kSliceBytes) return fail(Code::kCorrupt, "record longer than a slice");
    return header;
}

std::uint64_t hash_payload(base::Bytes payload) { return base::xxh3_64(payload); }

std::uint64_t Geometry::slices() const {
    return slice_bytes == 0 ? 0 : (bytes + slice_bytes - 1) / slice_bytes;
}

std::uint32_t Geometry::slice_length(std::uint64_t stripe) const {
    HAMSTER_ASSERT(stripe < slices(), stripe, bytes, slice_bytes);
    const std::uint64_t rest = bytes - stripe * slice_bytes;
    return rest < slice_bytes ? static_cast<std::uint32_t>(rest) : slice_bytes;
}

std::uint64_t Geometry::extent_span(std::size_t i, std::uint64_t first_stripe) const {
    const Extent& extent = extents[i];
    HAMSTER_ASSERT(extent.slices > 0 && first_stripe + extent.slices <= slices(), first_stripe);
    const std::uint64_t last = first_stripe + extent.slices - 1;
    return std::uint64_t{extent.slices - 1} * large_span(slice_bytes) +
           large_span(slice_length(last));
}

bool Geometry::is_sound() const {
    if (slice_bytes == 0 || slice_bytes > kSliceBytes || bytes == 0) return false;
    if (extents.empty() || extents.size() > kMaxExtents) return false;
    std::uint64_t total = 0;
    for (const Extent& extent : extents) {
        if (extent.slices == 0 || extent.offset % base::kBlock != 0) return false;
        const std::uint64_t end =
            extent.offset + std::uint64_t{extent.slices} * large_span(slice_bytes);
        if (extent.offset < kSegmentStart || end > UINT32_MAX) return false;
        total += extent.slices;
    }
    return total == slices();
}

void put_varint(std::string& out, std::uint64_t v) {
    while (v >= 0x80) {
        out.push_back(static_cast<char>(v | 0x80));
        v >>= 7;
    }
    out.push_back(static_cast<char>(v));
}

bool get_varint(std::string_view& in, std::uint64_t& v) {
    v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (in.empty()) return false;
        const auto byte = static_cast<std::uint8_t>(in.front());
        in.remove_prefix(1);
        if (shift == 63 && byte > 1) return false;
        v |= std::uint64_t{byte & 0x7FU} << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

void encode_geometry(std::string& out, const Geometry& geometry) {
    HAMSTER_ASSERT(geometry.is_sound(), geometry.bytes, geometry.slice_bytes);
    put_varint(out, geometry.bytes);
    put_varint(out, geometry.slice_bytes);
    put_varint(out, geometry.extents.size());
    for (const Extent& extent : geometry.extents) {
        put_varint(out, extent.segment);
        base::put_be64(out, extent.epoch);
        put_varint(out, extent.offset / base::kBlock);
        put_varint(out, extent.slices);
    }
}

namespace {
bool get_extent(std::string_view& in, Extent& extent) {
    std::uint64_t segment = 0;
    std::uint64_t block = 0;
    std::uint64_t slices = 0;
    if (!get_varint(in, segment) || segment > UINT32_MAX || in.size() < 8) return false;
    extent.epoch = base::get_be64(in.data());
    in.remove_prefix(8);
    if (!get_varint(in, block) || block > UINT32_MAX / base::kBlock) return false;
    if (!get_varint(in, slices) || slices > UINT32_MAX) return false;
    extent.segment = static_cast<std::uint32_t>(segment);
    extent.offset = static_cast<std::uint32_t>(block * base::kBlock);
    extent.slices = static_cast<std::uint32_t>(slices);
    return true;
}
}  // namespace

Result<Geometry> decode_geometry(std::string_view& in) {
    const auto damaged = [] { return fail(Code::kCorrupt, "list of extents is damaged"); };
    Geometry geometry;
    std::uint64_t slice_bytes = 0;
    std::uint64_t count = 0;
    if (!get_varint(in, geometry.bytes) || !get_varint(in, slice_bytes) || !get_varint(in, count)) {
        return damaged();
    }
    if (slice_bytes > kSliceBytes || count > kMaxExtents) return damaged();
    geometry.slice_bytes = static_cast<std::uint32_t>(slice_bytes);
    for (std::uint64_t i = 0; i < count; ++i) {
        Extent extent;
        if (!get_extent(in, extent)) return damaged();
        geometry.extents.push_back(extent);
    }
    // Sums of made-up sizes must not overflow: bytes is bounded by what the extents can hold.
    if (geometry.bytes > (std::uint64_t{1} << 56) || !geometry.is_sound()) return damaged();
    return geometry;
}

}  // namespace hamster::shards
