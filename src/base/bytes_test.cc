#include "base/bytes.h"

#include <gtest/gtest.h>

#include <utility>

#include "base/assert.h"
#include "base/result.h"

namespace hamster::base {
namespace {

TEST(Buffer, AppendsInsideItsCapacity) {
    Buffer buffer(5);
    EXPECT_EQ(buffer.capacity(), kBlock);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % kBlock, 0U);
    EXPECT_TRUE(buffer.empty());
    buffer.append(as_bytes("abc"));
    buffer.append({});
    buffer.append(as_bytes("de"));
    EXPECT_EQ(as_text(buffer.bytes()), "abcde");
    EXPECT_EQ(buffer.spare().size(), kBlock - 5);
    buffer.resize(2);
    EXPECT_EQ(as_text(buffer.bytes()), "ab");
}

TEST(Buffer, Moves) {
    Buffer a = Buffer::copy_of(as_bytes("abc"));
    const std::byte* memory = a.data();
    const Buffer b = std::move(a);
    EXPECT_EQ(b.data(), memory);
    EXPECT_EQ(as_text(b.bytes()), "abc");
    Buffer c;
    EXPECT_TRUE(c.empty());
    EXPECT_EQ(c.capacity(), 0U);
    c = Buffer::copy_of(as_bytes("x"));
    EXPECT_EQ(as_text(c.bytes()), "x");
}

TEST(BufferDeathTest, AssertsOnOverflow) {
    Buffer buffer(1);
    EXPECT_DEATH(buffer.resize(kBlock + 1), "size <= capacity_.* = 4097 4096");
    buffer.resize(kBlock);
    EXPECT_DEATH(buffer.append(as_bytes("x")), "assertion failed");
}

TEST(RoundUp, Values) {
    EXPECT_EQ(round_up(0, 8), 0U);
    EXPECT_EQ(round_up(1, 8), 8U);
    EXPECT_EQ(round_up(8, 8), 8U);
    EXPECT_EQ(round_up(9, 8), 16U);
}

Result<int> half(int n) {
    if (n % 2 != 0) return fail(Code::kInvalid, "odd");
    return n / 2;
}
Result<int> quarter(int n) {
    TRY_ASSIGN(const int h, half(n));
    TRY(half(h));
    return half(h);
}

TEST(Result, TryPassesValuesAndErrors) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error(), (Error{Code::kInvalid, "odd"}));
    EXPECT_EQ(quarter(5).error().code, Code::kInvalid);
}

TEST(Result, FailAddsWhere) {
    const Result<int> r = fail(Error{Code::kIo, "device"}, "open");
    EXPECT_EQ(r.error(), (Error{Code::kIo, "open: device"}));
    EXPECT_EQ(to_string(Code::kIo), "I/O error");
}

TEST(AssertDeathTest, PrintsTheValues) {
    const int a = 1;
    EXPECT_DEATH(HAMSTER_ASSERT(a == 2, a),
                 "assertion failed: a == 2 at .*bytes_test.cc:.* \\(a\\) = 1");
    EXPECT_DEATH(HAMSTER_ASSERT(a == 2), "assertion failed: a == 2");
    HAMSTER_ASSERT(a == 1, a);
}

}  // namespace
}  // namespace hamster::base
