// Strong identifiers. Ids of things that live for ever are 128 bits.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/encoding.h"

namespace hamster::base {

// 16 opaque bytes; the tag keeps a blob id from being used as a bucket id.
template <class Tag>
struct Id128 {
    std::array<std::byte, 16> raw{};

    auto operator<=>(const Id128&) const = default;
    [[nodiscard]] bool is_zero() const { return *this == Id128{}; }
    [[nodiscard]] std::string_view view() const {
        return {reinterpret_cast<const char*>(raw.data()), raw.size()};
    }
    // Exactly 16 bytes, else nullopt.
    static std::optional<Id128> from_bytes(std::string_view bytes) {
        Id128 id;
        if (bytes.size() != id.raw.size()) return std::nullopt;
        __builtin_memcpy(id.raw.data(), bytes.data(), bytes.size());
        return id;
    }
    // 32 lower-case hex digits.
    [[nodiscard]] std::string hex() const { return hex_encode(raw); }
    // Exactly 32 hex digits of either case, else nullopt.
    static std::optional<Id128> from_hex(std::string_view text) {
        if (text.size() != 32) return std::nullopt;
        const std::optional<std::string> bytes = hex_decode(text);
        return bytes ? from_bytes(*bytes) : std::nullopt;
    }
};

struct BlobTag;
struct BucketTag;
struct UploadTag;
struct VersionTag;
struct RequestTag;
struct ClusterTag;
struct NodeTag;
struct UserTag;
using BlobId = Id128<BlobTag>;        // random
using BucketId = Id128<BucketTag>;    // UUIDv7
using UploadId = Id128<UploadTag>;    // UUIDv7
using VersionId = Id128<VersionTag>;  // UUIDv7 of the commit stamp; zero is the `null` version
using RequestId = Id128<RequestTag>;  // random
using ClusterId = Id128<ClusterTag>;  // random
using NodeId = Id128<NodeTag>;        // random, never reused
using UserId = Id128<UserTag>;        // random; zero is root

// A number that must not be confused with another one.
template <class Tag, class Rep = std::uint64_t>
struct Number {
    Rep value = 0;
    auto operator<=>(const Number&) const = default;
};
struct TermTag;
struct LogIndexTag;
struct SlotTag;
using Term = Number<TermTag>;
using LogIndex = Number<LogIndexTag>;  // the first entry is 1; 0 is "none"
using Slot = Number<SlotTag, std::uint8_t>;

// RFC 9562 version 7: 48 bits of milliseconds since 1970, then random bits.
std::array<std::byte, 16> uuid_v7(std::uint64_t unix_ms, std::array<std::byte, 16> random);

// The partition of a blob, 0..4095: the first 12 bits of its id. Fixed for ever.
std::uint16_t partition_of(const BlobId& blob);
// The same id, but in that partition, which must exist.
BlobId in_partition(BlobId blob, std::uint16_t partition);
inline constexpr std::uint16_t kPartitions = 4096;

}  // namespace hamster::base

template <class Tag>
struct std::hash<hamster::base::Id128<Tag>> {
    std::size_t operator()(const hamster::base::Id128<Tag>& id) const noexcept {
        std::uint64_t word = 0;
        __builtin_memcpy(&word, id.raw.data() + 8, sizeof(word));
        return word * 0x9E3779B97F4A7C15ULL;
    }
};
