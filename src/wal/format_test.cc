#include "wal/format.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/hash.h"
#include "wal/recovery.h"

namespace hamster::wal {
namespace {

constexpr FileHeader kHeader{.epoch = 3, .salt = 0x1122334455667788};

base::Buffer header_block(const FileHeader& header) {
    base::Buffer block(base::kBlock);
    block.resize(base::kBlock);
    encode_file_header(header, block.writable());
    return block;
}

base::Buffer group(const FileHeader& header, std::uint64_t offset, std::uint64_t number,
                   std::uint64_t seq, const std::vector<std::string>& records,
                   RecordKind kind = RecordKind::kData) {
    base::Buffer out(4 << 20);
    GroupWriter writer(&out, header.seed(), offset, number);
    for (const std::string& record : records) {
        writer.add(kind, seq++, base::as_bytes(record));
    }
    writer.finish();
    return out;
}

// What a group holds, when it verifies.
std::optional<std::vector<std::pair<std::uint64_t, std::string>>> contents(base::Bytes bytes,
                                                                           std::uint64_t seed,
                                                                           std::uint64_t offset) {
    const auto header = parse_group_header(bytes, seed, offset);
    std::vector<std::pair<std::uint64_t, std::string>> out;
    if (!header || !parse_group(*header, bytes, seed, offset, [&out](const Record& record) {
            out.emplace_back(record.seq, base::as_text(record.payload));
        })) {
        return std::nullopt;
    }
    return out;
}

TEST(WalFormat, GoldenFileHeader) {
    const base::Buffer block = header_block(kHeader);
    EXPECT_EQ(base::hex_encode(block.bytes().first(48)),
              "af787151cd0dba28012e48414d57414c0100000000100000"
              "030000000000000088776655443322110000000000000000");
    for (std::size_t i = 48; i < block.size(); ++i) {
        ASSERT_EQ(block.data()[i], std::byte{0});
    }
}

TEST(WalFormat, GoldenGroup) {
    const base::Buffer out = group(kHeader, 8192, 7, 41, {"first", "second record"});
    ASSERT_EQ(out.size(), base::kBlock);
    EXPECT_EQ(base::hex_encode(out.bytes().first(112)),
              "2c4eb13598e7264e484157470200000007000000000000006800000000000000"
              "a3915001940c42a0290000000000000005000000010000006669727374000000"
              "afd4717369d3e3a82a000000000000000d000000010000007365636f6e64207265636f7264000000"
              "0000000000000000");
    for (std::size_t i = 112; i < out.size(); ++i) {
        ASSERT_EQ(out.data()[i], std::byte{0});
    }
}

TEST(WalFormat, HeaderRoundTripAndDamage) {
    base::Buffer block = header_block(kHeader);
    EXPECT_EQ(decode_file_header(block.bytes()), kHeader);
    for (std::size_t i = 0; i < block.size(); i += 7) {
        block.data()[i] ^= std::byte{0x10};
        EXPECT_EQ(decode_file_header(block.bytes()).error().code, Code::kCorrupt) << i;
        block.data()[i] ^= std::byte{0x10};
    }
    EXPECT_EQ(decode_file_header(block.bytes().first(100)).error().code, Code::kCorrupt);
}

TEST(WalFormat, NewerVersionIsUnsupported) {
    base::Buffer block = header_block(kHeader);
    base::store_le32(block.data() + 16, kFormatVersion + 1);
    base::store_le64(block.data(), base::xxh3_64(block.bytes().subspan(8)));
    EXPECT_EQ(decode_file_header(block.bytes()).error().code, Code::kUnsupported);
}

TEST(WalFormat, GroupRoundTrip) {
    const base::Buffer out = group(kHeader, 4096, 1, 9, {"", "x", std::string(9000, 'y')});
    EXPECT_EQ(out.size(), 3 * base::kBlock);
    const auto found = contents(out.bytes(), kHeader.seed(), 4096);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, (std::vector<std::pair<std::uint64_t, std::string>>{
                          {9, ""}, {10, "x"}, {11, std::string(9000, 'y')}}));
}

TEST(WalFormat, EveryFlippedBitIsSeen) {
    base::Buffer out = group(kHeader, 4096, 1, 9, {"abc", "defghijk"});
    const std::size_t used = 32 + 32 + 32;
    for (std::size_t bit = 0; bit < used * 8; ++bit) {
        out.data()[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
        EXPECT_FALSE(contents(out.bytes(), kHeader.seed(), 4096)) << bit;
        out.data()[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    }
    EXPECT_TRUE(contents(out.bytes(), kHeader.seed(), 4096));
}

TEST(WalFormat, AGroupElsewhereIsNone) {
    const base::Buffer out = group(kHeader, 4096, 1, 9, {"abc"});
    EXPECT_FALSE(contents(out.bytes(), kHeader.seed(), 8192));
    EXPECT_FALSE(contents(out.bytes(), FileHeader{4, kHeader.salt}.seed(), 4096));
    EXPECT_FALSE(contents(out.bytes(), FileHeader{3, kHeader.salt + 1}.seed(), 4096));
}

TEST(WalFormat, MarkersStandAlone) {
    const base::Buffer one = group(kHeader, 4096, 1, 5, {""}, RecordKind::kReset);
    EXPECT_TRUE(contents(one.bytes(), kHeader.seed(), 4096));
}

// A file of one block header and the given groups, as FileScan sees it.
class ScanTest : public testing::Test {
  protected:
    void add(std::uint64_t number, std::uint64_t seq, const std::vector<std::string>& records,
             RecordKind kind = RecordKind::kData) {
        const base::Buffer out = group(kHeader, file_.size(), number, seq, records, kind);
        file_ += base::as_text(out.bytes());
    }
    void pad(std::size_t blocks) { file_.append(blocks * base::kBlock, '\0'); }
    Result<void> scan() {
        FileScan scan("f", kHeader, file_.size(), &replay_);
        while (!scan.done()) {
            const auto range = scan.want();
            TRY(scan.feed(base::as_bytes(file_).subspan(range.offset, range.length)));
        }
        end_ = scan.end();
        return {};
    }
    void flip(std::size_t at) { file_[at] = static_cast<char>(file_[at] ^ 1); }

    std::string file_ = std::string(base::kBlock, 'h');
    Replay replay_;
    std::uint64_t end_ = 0;
};

TEST_F(ScanTest, FindsGroupsAndTheEnd) {
    add(4, 10, {"a", "b"});
    add(5, 12, {std::string(3 << 20, 'c')});  // longer than the window
    add(6, 13, {"d"});
    const std::size_t end = file_.size();
    pad(3);
    ASSERT_TRUE(scan());
    EXPECT_EQ(replay_.index().first(), 10U);
    EXPECT_EQ(replay_.index().next(), 14U);
    EXPECT_EQ(replay_.next_number(), 7U);
    EXPECT_EQ(end_, end);
}

TEST_F(ScanTest, TornTailIsTheEnd) {
    add(4, 10, {"a"});
    const std::size_t end = file_.size();
    add(5, 11, {std::string(9000, 'b')});
    flip(file_.size() - base::kBlock + 10);
    pad(2);
    ASSERT_TRUE(scan());
    EXPECT_EQ(replay_.index().next(), 11U);
    EXPECT_EQ(end_, end);
}

TEST_F(ScanTest, DamageBeforeAGroupIsCorrupt) {
    for (const std::size_t where : {10U, 40U}) {  // in the group's header, in a record
        file_.resize(base::kBlock);
        replay_ = Replay();
        add(4, 10, {"a"});
        const std::size_t damaged = file_.size();
        add(5, 11, {"b"});
        add(6, 12, {"c"});
        flip(damaged + where);
        const auto found = scan();
        ASSERT_FALSE(found);
        EXPECT_EQ(found.error().code, Code::kCorrupt);
        EXPECT_NE(found.error().context.find("f: damaged at offset 8192"), std::string::npos);
    }
}

TEST_F(ScanTest, MissingGroupIsCorrupt) {
    add(4, 10, {"a"});
    add(6, 11, {"b"});
    EXPECT_EQ(scan().error().code, Code::kCorrupt);
}

TEST_F(ScanTest, MissingRecordIsCorrupt) {
    add(4, 10, {"a"});
    add(5, 12, {"b"});
    EXPECT_EQ(scan().error().code, Code::kCorrupt);
}

TEST_F(ScanTest, MarkersTakeEffect) {
    add(4, 10, {"a", "b", "c"});
    add(5, 11, {""}, RecordKind::kDropFrom);
    add(6, 11, {"d"});
    ASSERT_TRUE(scan());
    EXPECT_EQ(replay_.index().first(), 10U);
    EXPECT_EQ(replay_.index().next(), 12U);
    add(7, 100, {""}, RecordKind::kReset);
    replay_ = Replay();
    ASSERT_TRUE(scan());
    EXPECT_EQ(replay_.index().first(), 100U);
    EXPECT_EQ(replay_.index().next(), 100U);
}

}  // namespace
}  // namespace hamster::wal
