#include "wal/format.h"

#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/planted.h"

namespace hamster::wal {
namespace {

using base::load_le32;
using base::load_le64;
using base::store_le32;
using base::store_le64;

constexpr std::uint64_t kFileMagic = 0x4C41574D41482E01ULL;  // "\x01.HAMWAL", little endian
constexpr std::uint32_t kGroupMagic = 0x47574148;            // "HAWG", little endian
constexpr std::size_t kChecksumBytes = 8;                    // first in every header

static_assert(kGroupHeaderBytes % kRecordAlign == 0);
static_assert(kRecordHeaderBytes % kRecordAlign == 0);

// Where something stands is part of what its checksum says.
std::uint64_t checksum_at(base::Bytes bytes, std::uint64_t seed, std::uint64_t offset) {
    return base::xxh3_64(bytes, seed + offset);
}

}  // namespace

std::uint64_t FileHeader::seed() const {
    if (base::planted(base::Bug::kWalStaleRecord)) return 1;
    std::array<std::byte, 16> raw;
    store_le64(raw.data(), epoch);
    store_le64(raw.data() + 8, salt);
    return base::xxh3_64(raw);
}

// checksum 0 | magic 8 | version 16 | block size 20 | epoch 24 | salt 32 | zeros
void encode_file_header(const FileHeader& header, base::MutableBytes block) {
    HAMSTER_ASSERT(block.size() == base::kBlock, block.size());
    HAMSTER_ASSERT(header.epoch > 0);
    std::memset(block.data(), 0, block.size());
    store_le64(block.data() + 8, kFileMagic);
    store_le32(block.data() + 16, kFormatVersion);
    store_le32(block.data() + 20, base::kBlock);
    store_le64(block.data() + 24, header.epoch);
    store_le64(block.data() + 32, header.salt);
    store_le64(block.data(), base::xxh3_64(block.subspan(kChecksumBytes)));
}

Result<FileHeader> decode_file_header(base::Bytes block) {
    if (block.size() < base::kBlock) {
        return fail(Code::kCorrupt, "shorter than its header");
    }
    const base::Bytes covered = block.subspan(kChecksumBytes, base::kBlock - kChecksumBytes);
    if (load_le64(block.data() + 8) != kFileMagic ||
        load_le64(block.data()) != base::xxh3_64(covered)) {
        return fail(Code::kCorrupt, "its header does not verify");
    }
    const std::uint32_t version = load_le32(block.data() + 16);
    if (version != kFormatVersion || load_le32(block.data() + 20) != base::kBlock) {
        return fail(Code::kUnsupported, fmt::format("log format {} is not known here", version));
    }
    FileHeader header{load_le64(block.data() + 24), load_le64(block.data() + 32)};
    if (header.epoch == 0) {
        return fail(Code::kCorrupt, "its header has no epoch");
    }
    return header;
}

GroupWriter::GroupWriter(base::Buffer* out, std::uint64_t seed, std::uint64_t offset,
                         std::uint64_t number)
    : out_(out), seed_(seed), offset_(offset), number_(number) {
    HAMSTER_ASSERT(offset % base::kBlock == 0 && offset >= base::kBlock, offset);
    HAMSTER_ASSERT(number > 0);
    out_->resize(kGroupHeaderBytes);
}

// checksum 0 | seq 8 | length 16 | kind 20 | payload 24 | zeros to a multiple of 8
void GroupWriter::add(RecordKind kind, std::uint64_t seq, base::Bytes payload) {
    const std::size_t at = out_->size();
    const std::size_t span = record_span(payload.size());
    HAMSTER_ASSERT(at + span <= out_->capacity(), at, span, out_->capacity());
    HAMSTER_ASSERT(records_ == 0 || kind == RecordKind::kData);
    out_->resize(at + span);
    std::byte* p = out_->data() + at;
    store_le64(p + 8, seq);
    store_le32(p + 16, static_cast<std::uint32_t>(payload.size()));
    store_le32(p + 20, static_cast<std::uint32_t>(kind));
    if (!payload.empty()) {
        std::memcpy(p + kRecordHeaderBytes, payload.data(), payload.size());
    }
    const std::size_t used = kRecordHeaderBytes + payload.size();
    std::memset(p + used, 0, span - used);
    store_le64(p, checksum_at({p + kChecksumBytes, span - kChecksumBytes}, seed_, offset_ + at));
    ++records_;
}

// checksum 0 | magic 8 | records 12 | number 16 | bytes 24
void GroupWriter::finish() {
    HAMSTER_ASSERT(records_ > 0);
    const std::size_t bytes = out_->size();
    const std::size_t padded = base::round_up(bytes, base::kBlock);
    HAMSTER_ASSERT(padded <= out_->capacity(), padded, out_->capacity());
    std::byte* p = out_->data();
    store_le32(p + 8, kGroupMagic);
    store_le32(p + 12, records_);
    store_le64(p + 16, number_);
    store_le64(p + 24, bytes);
    store_le64(
        p, checksum_at({p + kChecksumBytes, kGroupHeaderBytes - kChecksumBytes}, seed_, offset_));
    out_->resize(padded);
    std::memset(p + bytes, 0, padded - bytes);
}

std::optional<GroupHeader> parse_group_header(base::Bytes bytes, std::uint64_t seed,
                                              std::uint64_t offset) {
    if (bytes.size() < kGroupHeaderBytes || load_le32(bytes.data() + 8) != kGroupMagic) {
        return std::nullopt;
    }
    const base::Bytes covered = bytes.subspan(kChecksumBytes, kGroupHeaderBytes - kChecksumBytes);
    if (load_le64(bytes.data()) != checksum_at(covered, seed, offset)) {
        return std::nullopt;
    }
    return GroupHeader{.number = load_le64(bytes.data() + 16),
                       .bytes = load_le64(bytes.data() + 24),
                       .records = load_le32(bytes.data() + 12)};
}

bool parse_group(const GroupHeader& header, base::Bytes bytes, std::uint64_t seed,
                 std::uint64_t offset, const std::function<void(const Record&)>& visit) {
    if (header.records == 0 || header.bytes > bytes.size() || header.bytes < kGroupHeaderBytes) {
        return false;
    }
    std::size_t at = kGroupHeaderBytes;
    std::uint64_t expected = 0;
    for (std::uint32_t i = 0; i < header.records; ++i) {
        if (header.bytes - at < kRecordHeaderBytes) {
            return false;
        }
        const std::byte* p = bytes.data() + at;
        const std::uint32_t length = load_le32(p + 16);
        const std::uint64_t span = record_span(length);
        if (span > header.bytes - at ||
            load_le64(p) !=
                checksum_at({p + kChecksumBytes, span - kChecksumBytes}, seed, offset + at)) {
            return false;
        }
        const std::uint32_t kind = load_le32(p + 20);
        const std::uint64_t seq = load_le64(p + 8);
        const bool data = kind == static_cast<std::uint32_t>(RecordKind::kData);
        const bool marker = kind == static_cast<std::uint32_t>(RecordKind::kDropFrom) ||
                            kind == static_cast<std::uint32_t>(RecordKind::kReset);
        if (seq == 0 || seq == UINT64_MAX || !(data || (marker && header.records == 1)) ||
            (i > 0 && seq != expected)) {
            return false;
        }
        expected = seq + 1;
        visit(Record{static_cast<RecordKind>(kind), seq, {p + kRecordHeaderBytes, length}});
        at += span;
    }
    return at == header.bytes;
}

}  // namespace hamster::wal
