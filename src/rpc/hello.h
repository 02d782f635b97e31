// How a connection begins, and how errors travel: the payloads of Hello, Refuse and Error frames.
// Pure; any thread. The bytes are described in docs/formats/rpc.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "rpc/handler.h"

namespace hamster::rpc {

// The versions of the protocol (what kinds of frames mean) that a node speaks, both ends included.
struct VersionRange {
    std::uint16_t min = 1;
    std::uint16_t max = 1;
    bool operator==(const VersionRange&) const = default;
};

struct Hello {
    VersionRange versions;
    base::ClusterId cluster;
    base::NodeId node;
    Lane lane = Lane::kControl;
    bool operator==(const Hello&) const = default;
};

// A later version may append fields: what follows the known ones is ignored, up to this length.
inline constexpr std::size_t kMaxHelloBytes = 1024;

std::string encode_hello(const Hello& hello);
Result<Hello> decode_hello(std::string_view payload);

// The highest version both speak. The error says what the other side should know: another cluster
// (kDenied) or no common version (kUnsupported).
Result<std::uint16_t> agree(const Hello& ours, const Hello& theirs);

// A longer context is cut.
inline constexpr std::size_t kMaxContextBytes = 1024;

std::string encode_error(const Error& error);
// kCorrupt when the payload is no error at all. A code not known here becomes kUnknownOutcome,
// which claims nothing.
Result<Error> decode_error(std::string_view payload);

}  // namespace hamster::rpc
