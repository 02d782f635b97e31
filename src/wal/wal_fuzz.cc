// Recovery from arbitrary file bytes: never crashes, never reads outside, and what it indexes can
// be read back from where it says.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "wal/recovery.h"

namespace hamster::wal {
namespace {

constexpr std::size_t kMaxFile = 64 * base::kBlock;

// Random bytes never pass a checksum: where the input asks for it, they are made to.
void mend(std::vector<std::byte>& file, std::uint64_t seed) {
    for (std::size_t at = base::kBlock; at + kGroupHeaderBytes <= file.size(); at += base::kBlock) {
        std::byte* p = file.data() + at;
        if (p[0] != std::byte{0xFE}) {
            continue;
        }
        base::store_le32(p + 8, 0x47574148);
        base::store_le64(p, base::xxh3_64({p + 8, kGroupHeaderBytes - 8}, seed + at));
        std::size_t record = at + kGroupHeaderBytes;
        while (record + kRecordHeaderBytes <= file.size()) {
            std::byte* r = file.data() + record;
            const std::uint64_t span = record_span(base::load_le32(r + 16));
            if (span > file.size() - record) {
                break;
            }
            base::store_le64(r, base::xxh3_64({r + 8, span - 8}, seed + record));
            record += span;
        }
    }
}

void recover(base::Bytes input) {
    std::vector<std::byte> file(base::round_up(input.size(), base::kBlock));
    std::memcpy(file.data(), input.data(), input.size());
    (void)decode_file_header(file);
    const FileHeader header{.epoch = 1 + (file.size() / base::kBlock) % 2, .salt = 7};
    mend(file, header.seed());
    const base::Bytes bytes(file);
    Replay replay;
    FileScan scan("fuzz", header, file.size(), &replay);
    while (!scan.done()) {
        const auto range = scan.want();
        if (!scan.feed(bytes.subspan(range.offset, range.length))) {
            return;
        }
    }
    // Live groups follow each other; a marker may have cut the end off any of them.
    std::uint64_t next = replay.index().first();
    for (const GroupRef& group : replay.index().groups()) {
        const base::Bytes here = bytes.subspan(group.offset, group.length);
        const auto found = parse_group_header(here, header.seed(), group.offset);
        HAMSTER_ASSERT(found && group.first_seq <= next, group.first_seq, next);
        next = group.first_seq + found->records;
    }
    HAMSTER_ASSERT(replay.index().next() <= next, replay.index().next(), next);
}

}  // namespace
}  // namespace hamster::wal

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 0 && size <= hamster::wal::kMaxFile) {
        hamster::wal::recover({reinterpret_cast<const std::byte*>(data), size});
    }
    return 0;
}
