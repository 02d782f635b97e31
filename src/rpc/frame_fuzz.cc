// Frames from arbitrary bytes, arriving in arbitrary chunks: never crashes, holds no more than it
// may, and what it accepts encodes to the bytes it came from.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "rpc/frame.h"
#include "rpc/hello.h"

namespace hamster::rpc {
namespace {

// Random bytes never pass a checksum: where a frame could stand, they are made to.
void mend(std::string& text) {
    std::size_t at = 0;
    while (text.size() - at >= kFrameHeaderBytes) {
        auto* const p = reinterpret_cast<std::byte*>(text.data()) + at;
        const std::size_t rest = text.size() - at - kFrameHeaderBytes;
        if ((p[5] & std::byte{0x80}) != std::byte{0}) return;  // the input asks for damage
        std::memcpy(p, "HRP\x01", 4);
        const std::size_t length = std::min<std::size_t>(base::load_le32(p + 16) % 4096, rest);
        base::store_le32(p + 16, static_cast<std::uint32_t>(length));
        const std::uint64_t fields = base::xxh3_64({p, 20});
        base::store_le32(p + 20, static_cast<std::uint32_t>(fields));
        base::store_le64(p + 24, base::xxh3_64({p + kFrameHeaderBytes, length}, fields));
        at += kFrameHeaderBytes + length;
    }
}

void look_inside(const Frame& frame) {
    auto hello = decode_hello(frame.payload);
    if (hello) {
        HAMSTER_ASSERT(decode_hello(encode_hello(*hello)) == hello);
    }
    auto error = decode_error(frame.payload);
    if (error) {
        HAMSTER_ASSERT(decode_error(encode_error(*error)) == error);
    }
}

void read_all(const std::string& text, std::size_t chunk) {
    FrameReader reader;
    std::size_t taken = 0;
    for (std::size_t at = 0; at < text.size();) {
        const base::MutableBytes room = reader.spare();
        HAMSTER_ASSERT(!room.empty() && room.size() < 3 * kMaxControlFrame);
        const std::size_t n = std::min({room.size(), text.size() - at, chunk});
        std::memcpy(room.data(), text.data() + at, n);
        reader.received(n);
        at += n;
        for (;;) {
            auto frame = reader.next();
            if (!frame) return;
            if (!*frame) break;
            const std::string bytes = encode_frame(**frame);
            HAMSTER_ASSERT(text.compare(taken, bytes.size(), bytes) == 0, taken);
            taken += bytes.size();
            look_inside(**frame);
        }
    }
}

}  // namespace
}  // namespace hamster::rpc

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 4 != 0) hamster::rpc::mend(text);
    hamster::rpc::read_all(text, 1 + data[0] * 16U);
    return 0;
}
