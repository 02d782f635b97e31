#include "rpc/frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace hamster::rpc {

namespace {

// "HRP", then the version of the frame.
constexpr std::uint32_t kMagic = 0x00505248;
constexpr std::uint32_t kMagicMask = 0x00FFFFFF;
constexpr std::uint32_t kFrameVersion = 1;

// magic and version 0 | kind 4 | flags 5 | method 6 | call 8 | length 16 | header check 20 |
// checksum 24
constexpr std::size_t kFieldBytes = 20;
constexpr std::size_t kCheckAt = 20;
constexpr std::size_t kChecksumAt = 24;

// What a read asks the stream for when nothing has arrived yet, and what a buffer may keep while it
// is empty, in bytes.
constexpr std::size_t kReadBytes = 64UL * 1024;
constexpr std::size_t kKeepBytes = 256UL * 1024;

struct Header {
    Frame frame;  // without its payload
    std::size_t length = 0;
    std::uint64_t fields_hash = 0;
    std::uint64_t checksum = 0;
};

Result<Header> decode_header(base::Bytes bytes) {
    const std::byte* p = bytes.data();
    const std::uint32_t magic = base::load_le32(p);
    if ((magic & kMagicMask) != kMagic) return fail(Code::kCorrupt, "not a frame of hamster");
    if (magic >> 24 != kFrameVersion) {
        return fail(Code::kUnsupported,
                    fmt::format("frame version {} is not known here", magic >> 24));
    }
    Header header;
    header.fields_hash = base::xxh3_64(bytes.first(kFieldBytes));
    if (base::load_le32(p + kCheckAt) != static_cast<std::uint32_t>(header.fields_hash)) {
        return fail(Code::kCorrupt, "the header of a frame does not verify");
    }
    const auto kind = std::to_integer<std::uint8_t>(p[4]);
    if (kind < static_cast<std::uint8_t>(FrameKind::kHello) ||
        kind > static_cast<std::uint8_t>(FrameKind::kPong)) {
        return fail(Code::kUnsupported, fmt::format("frame kind {} is not known here", kind));
    }
    header.frame.kind = static_cast<FrameKind>(kind);
    header.frame.flags = std::to_integer<std::uint8_t>(p[5]);
    header.frame.method =
        Method(std::to_integer<unsigned>(p[6]) | std::to_integer<unsigned>(p[7]) << 8);
    header.frame.call = base::load_le64(p + 8);
    header.length = base::load_le32(p + 16);
    header.checksum = base::load_le64(p + kChecksumAt);
    if (header.length > kMaxPayload) {
        return fail(Code::kTooLarge, fmt::format("a frame of {} bytes", header.length));
    }
    return header;
}

}  // namespace

FrameHeaderBytes encode_header(const Frame& frame) {
    HAMSTER_ASSERT(frame.payload.size() <= kMaxPayload, frame.payload.size());
    FrameHeaderBytes out{};
    const auto method = static_cast<std::uint16_t>(frame.method);
    base::store_le32(out.data(), kMagic | kFrameVersion << 24);
    out[4] = static_cast<std::byte>(frame.kind);
    out[5] = std::byte{frame.flags};
    out[6] = static_cast<std::byte>(method & 0xFF);
    out[7] = static_cast<std::byte>(method >> 8);
    base::store_le64(out.data() + 8, frame.call);
    base::store_le32(out.data() + 16, static_cast<std::uint32_t>(frame.payload.size()));
    const std::uint64_t fields = base::xxh3_64(base::Bytes(out).first(kFieldBytes));
    base::store_le32(out.data() + kCheckAt, static_cast<std::uint32_t>(fields));
    base::store_le64(out.data() + kChecksumAt,
                     base::xxh3_64(base::as_bytes(frame.payload), fields));
    return out;
}

std::string encode_frame(const Frame& frame) {
    const FrameHeaderBytes header = encode_header(frame);
    return std::string(base::as_text(header)) + frame.payload;
}

base::MutableBytes FrameReader::spare() {
    if (begin_ == end_ && buffer_.size() > kKeepBytes) buffer_ = {};
    if (begin_ > 0) {
        std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                  buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    // Grows with what has arrived, not with what was announced.
    if (buffer_.size() - end_ < kReadBytes / 2) buffer_.resize(2 * end_ + kReadBytes);
    return base::MutableBytes(buffer_).subspan(end_);
}

void FrameReader::received(std::size_t n) {
    HAMSTER_ASSERT(n <= buffer_.size() - end_, n, end_);
    end_ += n;
}

Result<std::optional<Frame>> FrameReader::next() {
    const base::Bytes have = base::Bytes(buffer_).subspan(begin_, end_ - begin_);
    if (have.size() < kFrameHeaderBytes) return std::nullopt;
    TRY_ASSIGN(Header header, decode_header(have.first(kFrameHeaderBytes)));
    if (have.size() - kFrameHeaderBytes < header.length) return std::nullopt;
    const base::Bytes payload = have.subspan(kFrameHeaderBytes, header.length);
    if (base::xxh3_64(payload, header.fields_hash) != header.checksum) {
        return fail(Code::kCorrupt, "a frame does not verify");
    }
    header.frame.payload = base::as_text(payload);
    begin_ += kFrameHeaderBytes + header.length;
    return std::move(header.frame);
}

}  // namespace hamster::rpc
