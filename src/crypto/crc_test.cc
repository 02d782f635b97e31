#include "crypto/crc.h"

#include <gtest/gtest.h>

#include <string>

#include "base/property_test.h"
#include "crypto/crc_table.h"

namespace hamster::crypto {
namespace {

using base::as_bytes;
using base::expect_property;

constexpr std::string_view kCheck = "123456789";

// Bytes that look random; the same on every run.
std::string noise(std::size_t size) {
    std::string out(size, '\0');
    std::uint64_t state = 1;
    for (char& c : out) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        c = static_cast<char>(state >> 56U);
    }
    return out;
}

// The check values of the catalogue of parametrised CRC algorithms.
TEST(Crc, CheckValues) {
    EXPECT_EQ(crc32(0, as_bytes(kCheck)), 0xCBF43926U);
    EXPECT_EQ(crc32c(0, as_bytes(kCheck)), 0xE3069283U);
    EXPECT_EQ(crc64nvme(0, as_bytes(kCheck)), 0xAE8B14860A799888U);
    EXPECT_EQ(portable::crc32(0, as_bytes(kCheck)), 0xCBF43926U);
    EXPECT_EQ(portable::crc32c(0, as_bytes(kCheck)), 0xE3069283U);
    EXPECT_EQ(portable::crc64nvme(0, as_bytes(kCheck)), 0xAE8B14860A799888U);
    EXPECT_EQ(crc32(0, {}), 0U);
    EXPECT_EQ(crc32c(0, {}), 0U);
    EXPECT_EQ(crc64nvme(0, {}), 0U);
}

// RFC 3720 appendix B.4.
TEST(Crc, IscsiVectors) {
    EXPECT_EQ(crc32c(0, as_bytes(std::string(32, '\0'))), 0x8A9136AAU);
    EXPECT_EQ(crc32c(0, as_bytes(std::string(32, '\xff'))), 0x62A8AB43U);
    std::string ascending;
    for (char c = 0; c < 32; ++c) ascending.push_back(c);
    EXPECT_EQ(crc32c(0, as_bytes(ascending)), 0x46DD794EU);
    EXPECT_EQ(crc32c(0, as_bytes(std::string(ascending.rbegin(), ascending.rend()))), 0x113FDB5CU);
}

// NVM Express NVM command set specification, 64b CRC test cases: 4 KiB blocks.
TEST(Crc, NvmeVectors) {
    EXPECT_EQ(crc64nvme(0, as_bytes(std::string(4096, '\0'))), 0x6482D367EB22B64EU);
    EXPECT_EQ(crc64nvme(0, as_bytes(std::string(4096, '\xff'))), 0xC0DDBA7302ECA3ACU);
}

TEST(Crc, FastEqualsPortableAtAllLengthsAndAlignments) {
    if (!fold_supported()) GTEST_SKIP() << "this processor has no carry-less multiplication";
    const std::string data = noise(1024 + 16);
    for (std::size_t offset = 0; offset < 16; ++offset) {
        for (std::size_t size = 0; size <= 1024; ++size) {
            const Bytes bytes = as_bytes(data).subspan(offset, size);
            ASSERT_EQ(crc32(0, bytes), portable::crc32(0, bytes)) << offset << ' ' << size;
            ASSERT_EQ(crc32c(0, bytes), portable::crc32c(0, bytes)) << offset << ' ' << size;
            ASSERT_EQ(crc64nvme(0, bytes), portable::crc64nvme(0, bytes)) << offset << ' ' << size;
        }
    }
}

// Bit by bit, straight from the definition: an independent witness for both implementations.
template <class T>
T bitwise(T poly, Bytes bytes) {
    T state = static_cast<T>(~T{0});
    for (const std::byte b : bytes) {
        state ^= std::to_integer<T>(b);
        for (int i = 0; i < 8; ++i) {
            state = static_cast<T>((state >> 1U) ^ ((state & 1U) != 0 ? poly : 0));
        }
    }
    return static_cast<T>(~state);
}

TEST(Crc, EqualsTheDefinition) {
    const std::string data = noise(5000);
    for (const std::size_t size : {1U, 7U, 63U, 64U, 65U, 127U, 128U, 1000U, 5000U}) {
        const Bytes bytes = as_bytes(data).first(size);
        EXPECT_EQ(crc32(0, bytes), bitwise<std::uint32_t>(0xEDB88320U, bytes)) << size;
        EXPECT_EQ(crc32c(0, bytes), bitwise<std::uint32_t>(0x82F63B78U, bytes)) << size;
        EXPECT_EQ(crc64nvme(0, bytes), bitwise<std::uint64_t>(0x9A6C9329AC4BC9B5U, bytes)) << size;
    }
}

TEST(CrcProperties, ContinuingAndCombiningEqualTheWhole) {
    expect_property([] {
        const std::string data = noise(*rc::gen::inRange<std::size_t>(0, 3000));
        const auto cut = *rc::gen::inRange<std::size_t>(0, data.size() + 1);
        const Bytes all = as_bytes(data);
        const Bytes a = all.first(cut);
        const Bytes b = all.subspan(cut);
        RC_ASSERT(crc32(crc32(0, a), b) == crc32(0, all));
        RC_ASSERT(crc32c(crc32c(0, a), b) == crc32c(0, all));
        RC_ASSERT(crc64nvme(crc64nvme(0, a), b) == crc64nvme(0, all));
        RC_ASSERT(crc32_combine(crc32(0, a), crc32(0, b), b.size()) == crc32(0, all));
        RC_ASSERT(crc32c_combine(crc32c(0, a), crc32c(0, b), b.size()) == crc32c(0, all));
        RC_ASSERT(crc64nvme_combine(crc64nvme(0, a), crc64nvme(0, b), b.size()) ==
                  crc64nvme(0, all));
    });
}

// 2^40 zero bytes one doubling at a time, against the length in one go.
TEST(Crc, CombinesHugeLengths) {
    std::uint64_t zeros = crc64nvme(0, as_bytes(std::string(1, '\0')));
    for (int i = 0; i < 40; ++i) zeros = crc64nvme_combine(zeros, zeros, std::uint64_t{1} << i);
    const std::uint64_t a = crc64nvme(0, as_bytes(kCheck));
    const std::uint64_t half = std::uint64_t{1} << 39;
    std::uint64_t half_zeros = crc64nvme(0, as_bytes(std::string(1, '\0')));
    for (int i = 0; i < 39; ++i) {
        half_zeros = crc64nvme_combine(half_zeros, half_zeros, std::uint64_t{1} << i);
    }
    const std::uint64_t twice =
        crc64nvme_combine(crc64nvme_combine(a, half_zeros, half), half_zeros, half);
    EXPECT_EQ(crc64nvme_combine(a, zeros, 2 * half), twice);
}

}  // namespace
}  // namespace hamster::crypto
