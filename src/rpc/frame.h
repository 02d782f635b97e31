// One frame of the protocol between nodes: a fixed header and a payload. Pure; any thread.
// The bytes are described in docs/formats/rpc.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "rpc/handler.h"

namespace hamster::rpc {

inline constexpr std::size_t kFrameHeaderBytes = 32;
// The largest frame, header included. Whatever is longer is sent in pieces by its room.
inline constexpr std::size_t kMaxControlFrame = 4 * 1024 * 1024;
inline constexpr std::size_t kMaxPayload = kMaxControlFrame - kFrameHeaderBytes;

enum class FrameKind : std::uint8_t {
    kHello = 1,    // who I am: the first frame each way
    kRefuse = 2,   // instead of a Hello, or after it: why I close this connection
    kRequest = 3,  // wants exactly one kAnswer or kError with the same call id
    kAnswer = 4,
    kError = 5,
    kPost = 6,  // one-way
    kPing = 7,  // wants a kPong
    kPong = 8,
};

struct Frame {
    FrameKind kind = FrameKind::kPing;
    std::uint8_t flags = 0;  // none is defined: sent as 0, ignored by who reads them
    Method method{};         // of a request or post, else 0
    std::uint64_t call = 0;  // of a request and its answer, else 0
    std::string payload{};
    bool operator==(const Frame&) const = default;
    [[nodiscard]] std::size_t bytes() const { return kFrameHeaderBytes + payload.size(); }
};

using FrameHeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

// What goes before the payload. The payload must not be longer than kMaxPayload.
FrameHeaderBytes encode_header(const Frame& frame);
// Header and payload in one piece.
std::string encode_frame(const Frame& frame);

// Cuts received bytes into frames. Usage: read into spare(), tell received(), take next() until it
// has none. Holds at most twice the largest frame.
class FrameReader {
  public:
    // Room for the next read, never empty. Invalidated by every other call.
    base::MutableBytes spare();
    void received(std::size_t n);
    // A whole frame, or none yet. kCorrupt: not our bytes, or damaged; kTooLarge: announced longer
    // than a frame may be; kUnsupported: a frame version or kind that is not known here. After an
    // error nothing more can be read.
    Result<std::optional<Frame>> next();

  private:
    std::vector<std::byte> buffer_;  // begin_..end_ was received and not yet taken
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace hamster::rpc
