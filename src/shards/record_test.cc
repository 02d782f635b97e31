#include "shards/record.h"

#include <gtest/gtest.h>

#include "shards/index.h"
#include "shards/scan.h"

namespace hamster::shards {
namespace {

base::BlobId blob_of(std::uint8_t first) {
    base::BlobId blob;
    for (std::size_t i = 0; i < blob.raw.size(); ++i) {
        blob.raw[i] = static_cast<std::byte>(first + i);
    }
    return blob;
}

Header sample() {
    Header header;
    header.kind = Kind::kSlice;
    header.flags = kGroupStart;
    header.slot = Slot{5};
    header.segment = 0x01020304;
    header.epoch = 0x1112131415161718;
    header.offset = 0x2000;
    header.length = 11;
    header.stripe = 7;
    header.blob = blob_of(0x20);
    header.sequence = 99;
    header.sealed_ms = 1'700'000'000'123;
    header.payload_hash = hash_payload(base::as_bytes("hello there"));
    return header;
}

std::string encoded(const Header& header) {
    std::string bytes(kHeaderBytes, '\0');
    encode_header(header, reinterpret_cast<std::byte*>(bytes.data()));
    return bytes;
}

TEST(Record, HeaderGoldenBytes) {
    EXPECT_EQ(base::hex_encode(base::as_bytes(encoded(sample()))),
              "484d523101020501040302010020000018171615141312110b00000007000000"
              "202122232425262728292a2b2c2d2e2f63000000000000007b68e5cf8b010000"
              "b2ac3b3f0c03f21e025a334abe813a4c");
}

TEST(Record, HeaderRoundTrip) {
    const std::string bytes = encoded(sample());
    const auto header = decode_header(base::as_bytes(bytes));
    ASSERT_TRUE(header.has_value());
    EXPECT_EQ(*header, sample());
}

TEST(Record, EveryFlippedBitOfAHeaderIsFound) {
    for (std::size_t bit = 0; bit < kHeaderBytes * 8; ++bit) {
        std::string bytes = encoded(sample());
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
        const auto header = decode_header(base::as_bytes(bytes));
        ASSERT_FALSE(header.has_value()) << bit;
        EXPECT_EQ(header.error().code, Code::kCorrupt);
    }
    const std::string bytes = encoded(sample());
    EXPECT_FALSE(decode_header(base::as_bytes(bytes).first(kHeaderBytes - 1)).has_value());
}

Geometry sample_geometry() {
    Geometry geometry;
    geometry.bytes = 4 * kSliceBytes + 5;
    geometry.slice_bytes = kSliceBytes;
    geometry.extents = {{3, 0x0102030405060708, 8192, 3}, {9, 0xF1, 3 * kMaxSpan + 8192, 2}};
    return geometry;
}

TEST(Record, GeometryGoldenBytesAndRoundTrip) {
    std::string bytes;
    encode_geometry(bytes, sample_geometry());
    EXPECT_EQ(base::hex_encode(base::as_bytes(bytes)),
              "8580408080100203010203040506070802030900000000000000f1c50102");
    std::string_view in(bytes);
    const auto geometry = decode_geometry(in);
    ASSERT_TRUE(geometry.has_value());
    EXPECT_EQ(*geometry, sample_geometry());
    EXPECT_TRUE(in.empty());
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        std::string_view part = std::string_view(bytes).substr(0, cut);
        EXPECT_FALSE(decode_geometry(part).has_value()) << cut;
    }
}

TEST(Record, GeometryThatDoesNotAddUpIsRefused) {
    const auto refused = [](auto change) {
        Geometry geometry = sample_geometry();
        change(geometry);
        EXPECT_FALSE(geometry.is_sound());
    };
    refused([](Geometry& g) { g.bytes += kSliceBytes; });
    refused([](Geometry& g) { g.extents.pop_back(); });
    refused([](Geometry& g) { g.extents[0].slices = 0; });
    refused([](Geometry& g) { g.extents[0].offset += 8; });
    refused([](Geometry& g) { g.extents[0].offset = 0; });
    refused([](Geometry& g) { g.slice_bytes = kSliceBytes + 1; });
    refused([](Geometry& g) { g.bytes = 0; });
}

TEST(Record, ExtentSpanCountsTheShortLastSlice) {
    const Geometry geometry = sample_geometry();
    EXPECT_EQ(geometry.slices(), 5U);
    EXPECT_EQ(geometry.slice_length(4), 5U);
    EXPECT_EQ(geometry.extent_span(0, 0), 3ULL * kMaxSpan);
    EXPECT_EQ(geometry.extent_span(1, 3), std::uint64_t{kMaxSpan} + base::kBlock);
}

TEST(Record, Spans) {
    EXPECT_EQ(small_span(0), 80U);
    EXPECT_EQ(small_span(1), 88U);
    EXPECT_EQ(large_span(4096 - 80), 4096U);
    EXPECT_EQ(large_span(4096 - 79), 8192U);
    EXPECT_EQ(kMaxSpan, kSliceBytes + base::kBlock);
}

TEST(Record, VarintsRefuseOverflow) {
    for (const std::uint64_t v : {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128},
                                  std::uint64_t{1} << 40, UINT64_MAX}) {
        std::string bytes;
        put_varint(bytes, v);
        std::string_view in(bytes);
        std::uint64_t back = 1;
        EXPECT_TRUE(get_varint(in, back));
        EXPECT_EQ(back, v);
        EXPECT_TRUE(in.empty());
    }
    std::string_view too_long("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
    std::uint64_t v = 0;
    EXPECT_FALSE(get_varint(too_long, v));
}

TEST(IndexRow, GoldenBytesAndRoundTrip) {
    Row row;
    row.sequence = 300;
    row.sealed_ms = 1'700'000'000'123;
    row.home = {7, 8192, 4096};
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_row(row))), "01ac02fbd095ffbc310780088020");
    EXPECT_LE(encode_row(row).size(), 20U);
    auto back = decode_row(encode_row(row));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, row);
    row.large = sample_geometry();
    back = decode_row(encode_row(row));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, row);
    EXPECT_FALSE(decode_row(encode_row(row) + "x").has_value());
    EXPECT_FALSE(decode_row("").has_value());
}

TEST(IndexRow, SegmentRowRoundTrip) {
    const SegmentRow row{Lane::kLarge, true, 0xFEDCBA9876543210, 1, 2, 3, 4, 5};
    const auto back = decode_segment_row(encode_segment_row(row));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, row);
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_segment_row(row))),
              "0201fedcba98765432100102030405");
}

// A segment's bytes from kSegmentStart on, with the records packed one behind the other.
class ScanTest : public testing::Test {
  protected:
    static constexpr std::uint32_t kSegmentId = 4;
    static constexpr std::uint64_t kEpoch = 77;

    void add(const std::string& payload, std::uint8_t flags = 0, std::uint64_t epoch = kEpoch) {
        Header header;
        header.segment = kSegmentId;
        header.epoch = epoch;
        header.flags = flags;
        header.offset = static_cast<std::uint32_t>(kSegmentStart + bytes_.size());
        header.length = static_cast<std::uint32_t>(payload.size());
        header.payload_hash = hash_payload(base::as_bytes(payload));
        bytes_ += encoded(header) + payload;
        bytes_.resize(base::round_up(bytes_.size(), 8), '\0');
    }
    void pad() { bytes_.resize(base::round_up(bytes_.size(), base::kBlock), '\0'); }
    std::vector<std::string> scan() const {
        std::vector<std::string> found;
        std::uint64_t at = kSegmentStart;
        while (at < kSegmentStart + bytes_.size()) {
            const ScanStep step =
                scan_step(base::as_bytes(bytes_), kSegmentStart, at, true, kSegmentId, kEpoch);
            if (const auto* record = std::get_if<ScanRecord>(&step)) {
                found.emplace_back(record->payload_ok ? base::as_text(record->payload) : "torn");
                at = record->next;
            } else {
                at = std::get<ScanSkip>(step).next;
            }
        }
        return found;
    }
    std::string bytes_;
};

TEST_F(ScanTest, FindsPackedRecordsOverGroups) {
    add("one", kGroupStart);
    add(std::string(5000, '2'));
    add("three");
    pad();
    add("four", kGroupStart);
    pad();
    const std::vector<std::string> expected{"one", std::string(5000, '2'), "three", "four"};
    EXPECT_EQ(scan(), expected);
}

TEST_F(ScanTest, PassesOverDamageStaleRecordsAndZeros) {
    add("first", kGroupStart);
    pad();
    add("stale", kGroupStart, kEpoch + 1);
    pad();
    bytes_.append(3 * base::kBlock, '\0');
    const std::size_t damaged = bytes_.size();
    add("header gone", kGroupStart);
    pad();
    add("last", kGroupStart);
    bytes_[damaged + 20] ^= 1;
    const std::vector<std::string> expected{"first", "last"};
    EXPECT_EQ(scan(), expected);
}

TEST_F(ScanTest, ATornPayloadIsTold) {
    add("good", kGroupStart);
    add("to be torn");
    bytes_[bytes_.size() - 7] ^= 1;
    const std::vector<std::string> expected{"good", "torn"};
    EXPECT_EQ(scan(), expected);
}

TEST_F(ScanTest, ARecordAtAnotherAddressIsNotTaken) {
    add("here", kGroupStart);
    pad();
    const std::string copy = bytes_.substr(0, base::kBlock);
    bytes_ += copy;
    EXPECT_EQ(scan(), std::vector<std::string>{"here"});
}

TEST_F(ScanTest, AWindowThatEndsInARecordAsksForMore) {
    add(std::string(9000, 'x'), kGroupStart);
    const auto window = base::as_bytes(bytes_).first(4096);
    const ScanStep step =
        scan_step(window, kSegmentStart, kSegmentStart, false, kSegmentId, kEpoch);
    EXPECT_TRUE(std::holds_alternative<ScanMore>(step));
}

}  // namespace
}  // namespace hamster::shards
