#include "erasure/stripe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/encoding.h"
#include "base/property_test.h"
#include "erasure/scene.h"

namespace hamster::erasure {
namespace {

using base::Buffer;
using base::Bytes;

constexpr Geometry kSmall{.profile = {4, 2}, .slice_bytes = 10};
constexpr Geometry kCopies{.profile = {1, 2}, .slice_bytes = 10};

TEST(Stripes, Count) {
    EXPECT_EQ(stripes(0, kSmall), 0U);
    EXPECT_EQ(stripes(1, kSmall), 1U);
    EXPECT_EQ(stripes(40, kSmall), 1U);
    EXPECT_EQ(stripes(41, kSmall), 2U);
    EXPECT_EQ(stripes(41, kCopies), 5U);
}

TEST(Stripes, SliceLengths) {
    EXPECT_EQ(slice_length(100, kSmall, 0), 10U);
    EXPECT_EQ(slice_length(100, kSmall, 2), 5U);  // 20 bytes are left
    EXPECT_EQ(slice_length(81, kSmall, 2), 1U);
    EXPECT_EQ(slice_length(85, kSmall, 2), 2U);
    EXPECT_EQ(slice_length(120, kSmall, 2), 10U);
    EXPECT_EQ(body_length(100, kSmall, 1), 40U);
    EXPECT_EQ(body_length(100, kSmall, 2), 20U);
    EXPECT_EQ(slice_length(25, kCopies, 2), 5U);
}

TEST(Stripes, ShardBytes) {
    EXPECT_EQ(shard_bytes(0, kSmall), 0U);
    EXPECT_EQ(shard_bytes(1, kSmall), 1U);
    EXPECT_EQ(shard_bytes(100, kSmall), 25U);
    EXPECT_EQ(shard_bytes(101, kSmall), 26U);
    EXPECT_EQ(shard_bytes(101, kCopies), 101U);
}

TEST(Stripes, Locate) {
    EXPECT_EQ(locate(100, kSmall, 0), (Place{.stripe = 0, .slot = 0, .offset = 0}));
    EXPECT_EQ(locate(100, kSmall, 39), (Place{.stripe = 0, .slot = 3, .offset = 9}));
    EXPECT_EQ(locate(100, kSmall, 40), (Place{.stripe = 1, .slot = 0, .offset = 0}));
    EXPECT_EQ(locate(100, kSmall, 86), (Place{.stripe = 2, .slot = 1, .offset = 1}));
    EXPECT_EQ(locate(100, kCopies, 86), (Place{.stripe = 8, .slot = 0, .offset = 6}));
}

TEST(Stripes, BodyRangesLeaveThePaddingOut) {
    // 5 bytes in slices of 2: two, two, one, none.
    EXPECT_EQ(body_range(85, kSmall, 2, 1), (BodyRange{.offset = 82, .length = 2}));
    EXPECT_EQ(body_range(85, kSmall, 2, 2), (BodyRange{.offset = 84, .length = 1}));
    EXPECT_EQ(body_range(85, kSmall, 2, 3), (BodyRange{.offset = 85, .length = 0}));
    EXPECT_EQ(body_range(85, kSmall, 1, 3), (BodyRange{.offset = 70, .length = 10}));
}

TEST(Stripes, Valid) {
    constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
    EXPECT_TRUE(is_valid(kHuge >> 14, {.profile = {4, 2}, .slice_bytes = 256 << 10}));
    EXPECT_FALSE(is_valid(kHuge, {.profile = {4, 2}, .slice_bytes = 256 << 10}));
    EXPECT_TRUE(is_valid(kHuge, {.profile = {32, 0}, .slice_bytes = ~0U}));
    EXPECT_FALSE(is_valid(1, {.profile = {4, 2}, .slice_bytes = 0}));
    EXPECT_FALSE(is_valid(1, {.profile = {0, 2}, .slice_bytes = 10}));
}

Geometry any_geometry() {
    const auto k = *rc::gen::inRange<std::uint32_t>(1, 10);
    const auto m = *rc::gen::inRange<std::uint32_t>(0, 5);
    return {.profile = {k, m}, .slice_bytes = *rc::gen::inRange<std::uint32_t>(1, 40)};
}

// The body ranges of all data slices follow each other without a gap, and locate() finds each byte.
TEST(Stripes, RangesCoverTheBodyProperty) {
    base::expect_property([] {
        const Geometry geometry = any_geometry();
        const auto size = *rc::gen::inRange<std::uint64_t>(0, 1000);
        std::uint64_t done = 0;
        std::uint64_t shard = 0;
        for (std::uint32_t stripe = 0; stripe < stripes(size, geometry); ++stripe) {
            const std::uint32_t length = slice_length(size, geometry, stripe);
            RC_ASSERT(length >= 1 && length <= geometry.slice_bytes);
            RC_ASSERT(length * geometry.profile.k - body_length(size, geometry, stripe) <
                      geometry.profile.k);
            shard += length;
            for (std::uint32_t slot = 0; slot < geometry.profile.k; ++slot) {
                const BodyRange range = body_range(size, geometry, stripe, slot);
                RC_ASSERT(range.offset == done);
                RC_ASSERT(range.length <= length);
                for (std::uint32_t offset = 0; offset < range.length; ++offset) {
                    RC_ASSERT(locate(size, geometry, done + offset) ==
                              (Place{.stripe = stripe, .slot = slot, .offset = offset}));
                }
                done += range.length;
            }
        }
        RC_ASSERT(done == size);
        RC_ASSERT(shard == shard_bytes(size, geometry));
    });
}

// ---- buffers
// -------------------------------------------------------------------------------------

std::string hex_of(const Buffer& buffer) { return base::hex_encode(buffer.bytes()); }

std::vector<std::string> hex_of(const std::vector<Buffer>& buffers) {
    std::vector<std::string> texts;
    texts.reserve(buffers.size());
    for (const Buffer& buffer : buffers) texts.push_back(hex_of(buffer));
    return texts;
}

TEST(EncodeStripe, PadsWithZeros) {
    const Slice body(5, std::byte{0xAB});
    const std::vector<Buffer> slices = encode_stripe(Codec({4, 2}), body);
    ASSERT_EQ(slices.size(), 6U);
    EXPECT_EQ(hex_of(slices[0]), "abab");
    EXPECT_EQ(hex_of(slices[1]), "abab");
    EXPECT_EQ(hex_of(slices[2]), "ab00");
    EXPECT_EQ(hex_of(slices[3]), "0000");
    EXPECT_EQ(slices[4].size(), 2U);
}

TEST(EncodeStripe, Copies) {
    const Slice body = arbitrary(5, 1);
    const std::vector<Buffer> slices = encode_stripe(Codec({1, 2}), body);
    ASSERT_EQ(slices.size(), 3U);
    for (const Buffer& slice : slices) EXPECT_EQ(hex_of(slice), base::hex_encode(body));
}

TEST(WithParity, DoesNotCopyTheData) {
    std::vector<Buffer> data = cut(arbitrary(100, 1), 2);
    const std::byte* memory = data[1].data();
    EXPECT_EQ(with_parity(Codec({2, 1}), std::move(data))[1].data(), memory);
}

// Bodies of any size, gathered in pieces, give the slices of the definition.
TEST(StripeBuilder, GathersWhatCutWouldCutProperty) {
    base::expect_property([] {
        const Geometry geometry = any_geometry();
        const auto size = *rc::gen::inRange<std::uint64_t>(1, 1000);
        const auto most = *rc::gen::inRange<std::size_t>(1, 50);
        const Slice body = arbitrary(size, size);
        StripeBuilder builder(geometry);
        std::uint64_t done = 0;
        for (std::uint32_t stripe = 0; stripe < stripes(size, geometry); ++stripe) {
            const std::uint64_t begin = done;
            const std::uint64_t end = begin + body_length(size, geometry, stripe);
            while (done < end) {
                const base::MutableBytes room = builder.spare();
                const std::size_t n = std::min({most, room.size(), std::size_t{end - done}});
                RC_ASSERT(n > 0U);
                std::copy_n(body.begin() + static_cast<std::ptrdiff_t>(done), n, room.begin());
                builder.filled(n);
                done += n;
            }
            RC_ASSERT(builder.size() == end - begin);
            RC_ASSERT(builder.is_full() == (end - begin == geometry.stripe_bytes()));
            RC_ASSERT(builder.spare().empty() == builder.is_full());
            const Bytes part = Bytes(body).subspan(begin, end - begin);
            RC_ASSERT(hex_of(builder.take()) == hex_of(cut(part, geometry.profile.k)));
            RC_ASSERT(builder.size() == 0U);
        }
        RC_ASSERT(done == size);
    });
}

TEST(StripeBuilder, TakesFullStripesWithoutACopy) {
    StripeBuilder builder({.profile = {2, 1}, .slice_bytes = 8192});
    const std::byte* first = builder.spare().data();
    builder.filled(8192);
    const std::byte* second = builder.spare().data();
    builder.filled(8192);
    const std::vector<Buffer> slices = builder.take();
    EXPECT_EQ(slices[0].data(), first);
    EXPECT_EQ(slices[1].data(), second);
}

// Joining what is left gives the body back, after any loss.
TEST(Rebuild, GivesTheBodyBackProperty) {
    base::expect_property([] {
        const Geometry geometry = any_geometry();
        const Profile profile = geometry.profile;
        const auto size = *rc::gen::inRange<std::uint64_t>(1, geometry.stripe_bytes() + 1);
        const Slice body = arbitrary(size, size);
        const Codec codec(profile);
        std::vector<Buffer> slices = encode_stripe(codec, body);
        const std::vector<std::string> whole = hex_of(slices);
        for (std::uint32_t n = 0; n < profile.m; ++n) {
            slices[*rc::gen::inRange<std::uint32_t>(0, profile.width())] = Buffer();
        }
        const std::uint32_t length = slice_length(size, geometry, 0);
        RC_ASSERT(rebuild(codec, Slots::first(profile.width()), length, &slices).has_value());
        RC_ASSERT(hex_of(slices) == whole);
        RC_ASSERT(hex_of(join(slices, profile.k, size)) == base::hex_encode(body));
    });
}

TEST(Rebuild, MakesOnlyWhatIsWanted) {
    const Codec codec({4, 2});
    std::vector<Buffer> slices = encode_stripe(codec, arbitrary(100, 1));
    const std::string want = hex_of(slices[1]);
    slices[0] = Buffer();
    slices[1] = Buffer();
    const std::byte* kept = slices[2].data();
    ASSERT_TRUE(rebuild(codec, {1, 2}, 25, &slices));
    EXPECT_TRUE(slices[0].empty());
    EXPECT_EQ(hex_of(slices[1]), want);
    EXPECT_EQ(slices[2].data(), kept);
}

TEST(Rebuild, WithOnePlanForManyStripes) {
    const Codec codec({2, 1});
    const auto plan = codec.plan({1, 2}, {0});
    for (std::uint64_t seed = 1; seed < 4; ++seed) {
        std::vector<Buffer> slices = encode_stripe(codec, arbitrary(100, seed));
        const std::string want = hex_of(slices[0]);
        std::ranges::fill(slices[0].writable(), std::byte{0});  // damaged, and replaced
        ASSERT_TRUE(rebuild(*plan, 50, &slices));
        EXPECT_EQ(hex_of(slices[0]), want);
    }
}

TEST(Rebuild, RefusesWhatIsNotEnoughOrWrong) {
    const Codec codec({2, 2});
    std::vector<Buffer> slices = encode_stripe(codec, arbitrary(100, 1));
    slices[0] = Buffer();
    slices[3].resize(49);
    EXPECT_TRUE(rebuild(codec, {0}, 50, &slices));  // slot 3 is not needed
    slices[0] = Buffer();
    slices[1] = Buffer();
    EXPECT_EQ(rebuild(codec, {0}, 50, &slices).error(),
              (Error{Code::kCorrupt, "slot 3 has a slice of 49 bytes instead of 50"}));
    EXPECT_TRUE(slices[0].empty());
    slices[3] = Buffer();
    EXPECT_EQ(rebuild(codec, {0}, 50, &slices).error().code, Code::kUnavailable);
    EXPECT_TRUE(rebuild(codec, {2}, 50, &slices));  // is there
}

TEST(StripeDeathTest, Misuse) {
    EXPECT_DEATH(static_cast<void>(stripes(1, {})), "is_valid\\(size, geometry\\)");
    EXPECT_DEATH(static_cast<void>(slice_length(40, kSmall, 1)), "stripe < stripes");
    EXPECT_DEATH(static_cast<void>(body_range(40, kSmall, 0, 4)), "slot < geometry.profile.k");
    EXPECT_DEATH(static_cast<void>(locate(40, kSmall, 40)), "offset < size");
    EXPECT_DEATH(static_cast<void>(cut({}, 2)), "length >= 1");
    EXPECT_DEATH(StripeBuilder({.profile = {0, 1}, .slice_bytes = 1}), "is_valid");
}

TEST(StripeBuilderDeathTest, Misuse) {
    StripeBuilder builder(kCopies);
    EXPECT_DEATH(static_cast<void>(builder.take()), "size_ > 0");
    EXPECT_DEATH(builder.filled(11), "n <= spare");
    builder.filled(10);
    EXPECT_DEATH(builder.filled(1), "n <= spare");
}

TEST(WithParityDeathTest, UnequalSlices) {
    EXPECT_DEATH(static_cast<void>(with_parity(Codec({2, 1}), cut(arbitrary(9, 1), 3))),
                 "data.size\\(\\) == profile.k");
    std::vector<Buffer> data = cut(arbitrary(10, 1), 2);
    data[1].resize(4);
    EXPECT_DEATH(static_cast<void>(with_parity(Codec({2, 1}), std::move(data))),
                 "data\\[slot\\].size\\(\\) == length");
}

}  // namespace
}  // namespace hamster::erasure
