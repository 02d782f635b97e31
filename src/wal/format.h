// The bytes of a log file: pure encoding and decoding, no I/O. docs/formats/wal.md.
//
// A file is one header block and then groups. A group is what one durable write carried: it begins
// on a block boundary, holds whole records, and is the unit that can be torn. Every checksum is
// seeded with the file's epoch and random salt and with the offset, so neither a record of the
// file's earlier life, nor one written to the wrong place, nor bytes a client chose can pass.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace hamster::wal {

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kGroupHeaderBytes = 32;
inline constexpr std::size_t kRecordHeaderBytes = 24;
inline constexpr std::size_t kRecordAlign = 8;

struct FileHeader {
    std::uint64_t epoch = 0;  // the file's number in the log; the first is 1, never reused
    std::uint64_t salt = 0;   // random per life of the file

    bool operator==(const FileHeader&) const = default;
    [[nodiscard]] std::uint64_t seed() const;  // of every checksum in the file
};

// `block` is exactly base::kBlock long.
void encode_file_header(const FileHeader& header, base::MutableBytes block);
// kCorrupt when it does not verify, kUnsupported when it does but its version is not ours.
Result<FileHeader> decode_file_header(base::Bytes block);

enum class RecordKind : std::uint32_t {
    kData = 1,
    kDropFrom = 2,  // records >= seq written before this one are forgotten
    kReset = 3,     // everything before is forgotten; the log continues at seq
};

// Bytes one record takes inside a group.
constexpr std::uint64_t record_span(std::uint64_t payload_bytes) {
    return base::round_up(kRecordHeaderBytes + payload_bytes, kRecordAlign);
}

// Serialises one group into a buffer, padded to whole blocks with zeros.
class GroupWriter {
  public:
    // `out` is emptied and must have room for the padded group.
    GroupWriter(base::Buffer* out, std::uint64_t seed, std::uint64_t offset, std::uint64_t number);
    void add(RecordKind kind, std::uint64_t seq, base::Bytes payload);
    void finish();

  private:
    base::Buffer* out_;
    std::uint64_t seed_;
    std::uint64_t offset_;
    std::uint64_t number_;
    std::uint32_t records_ = 0;
};

struct GroupHeader {
    std::uint64_t number = 0;  // counts the groups of the log, across files
    std::uint64_t bytes = 0;   // header and records, without the padding
    std::uint32_t records = 0;
    [[nodiscard]] std::uint64_t padded() const { return base::round_up(bytes, base::kBlock); }
};

struct Record {
    RecordKind kind = RecordKind::kData;
    std::uint64_t seq = 0;
    base::Bytes payload;  // into the parsed bytes
};

// nullopt when no group header stands at the front of `bytes`, which begin at `offset`.
std::optional<GroupHeader> parse_group_header(base::Bytes bytes, std::uint64_t seed,
                                              std::uint64_t offset);
// Verifies the records of a group (`bytes` hold at least header.bytes) and visits them in order.
// False as soon as one does not verify, or when the records break the rules of a group: all data
// with contiguous numbers, or one marker. Records already visited were valid.
bool parse_group(const GroupHeader& header, base::Bytes bytes, std::uint64_t seed,
                 std::uint64_t offset, const std::function<void(const Record&)>& visit);

}  // namespace hamster::wal
