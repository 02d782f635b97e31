#include "rpc/hello.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace hamster::rpc {

namespace {

// min 0 | max 2 | cluster 4 | node 20 | lane 36. Little endian, like all of a frame.
constexpr std::size_t kHelloBytes = 37;

// The place of a code is its number on the wire, counted from 1: only ever appended to.
constexpr std::array kWireCodes{
    Code::kNotFound,
    Code::kInvalid,
    Code::kAlreadyExists,
    Code::kPrecondition,
    Code::kConflict,
    Code::kCorrupt,
    Code::kIo,
    Code::kNoSpace,
    Code::kUnavailable,
    Code::kUnknownOutcome,
    Code::kTimeout,
    Code::kClosed,
    Code::kTooLarge,
    Code::kUnsupported,
    Code::kDenied,
};
static_assert(kWireCodes.size() == static_cast<std::size_t>(Code::kDenied) + 1);

void put_le16(std::string& out, std::uint16_t v) {
    out.push_back(static_cast<char>(v & 0xFF));
    out.push_back(static_cast<char>(v >> 8));
}

std::uint16_t get_le16(std::string_view at) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(at[0]) |
                                      static_cast<unsigned char>(at[1]) << 8);
}

}  // namespace

std::string encode_hello(const Hello& hello) {
    std::string out;
    put_le16(out, hello.versions.min);
    put_le16(out, hello.versions.max);
    out += hello.cluster.view();
    out += hello.node.view();
    out.push_back(static_cast<char>(hello.lane));
    return out;
}

Result<Hello> decode_hello(std::string_view payload) {
    if (payload.size() < kHelloBytes || payload.size() > kMaxHelloBytes) {
        return fail(Code::kCorrupt, fmt::format("a hello of {} bytes", payload.size()));
    }
    Hello hello;
    hello.versions = {get_le16(payload), get_le16(payload.substr(2))};
    hello.cluster = base::ClusterId::from_bytes(payload.substr(4, 16)).value();
    hello.node = base::NodeId::from_bytes(payload.substr(20, 16)).value();
    hello.lane = static_cast<Lane>(payload[36]);
    if (hello.versions.min > hello.versions.max) {
        return fail(Code::kCorrupt, "a hello with an empty range of versions");
    }
    if (hello.lane != Lane::kControl && hello.lane != Lane::kBulk) {
        return fail(Code::kUnsupported, "a lane that is not known here");
    }
    return hello;
}

Result<std::uint16_t> agree(const Hello& ours, const Hello& theirs) {
    const std::uint16_t version = std::min(ours.versions.max, theirs.versions.max);
    if (version < std::max(ours.versions.min, theirs.versions.min)) {
        return fail(
            Code::kUnsupported,
            fmt::format("node {} speaks versions {} to {} of the protocol, node {} {} to {}",
                        ours.node.hex(), ours.versions.min, ours.versions.max, theirs.node.hex(),
                        theirs.versions.min, theirs.versions.max));
    }
    if (ours.cluster != theirs.cluster) {
        return fail(Code::kDenied,
                    fmt::format("node {} belongs to cluster {}, node {} to {}", ours.node.hex(),
                                ours.cluster.hex(), theirs.node.hex(), theirs.cluster.hex()));
    }
    return version;
}

std::string encode_error(const Error& error) {
    const auto* const place = std::ranges::find(kWireCodes, error.code);
    std::string out;
    out.push_back(static_cast<char>(place - kWireCodes.begin() + 1));
    out += std::string_view(error.context).substr(0, kMaxContextBytes);
    return out;
}

Result<Error> decode_error(std::string_view payload) {
    if (payload.empty() || payload.size() > 1 + kMaxContextBytes) {
        return fail(Code::kCorrupt, fmt::format("an error of {} bytes", payload.size()));
    }
    const auto number = static_cast<unsigned char>(payload[0]);
    const bool known = number >= 1 && number <= kWireCodes.size();
    return Error{known ? kWireCodes[number - 1U] : Code::kUnknownOutcome,
                 std::string(payload.substr(1))};
}

}  // namespace hamster::rpc
