#include "content.h"

#include <algorithm>
#include <cstring>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "runtime/prng.h"

namespace hamster::simulation {

namespace {

void fill(const Piece& piece, std::uint64_t offset, std::uint64_t length, char* out) {
    while (length > 0) {
        const std::uint64_t word = runtime::mix64(piece.seed + offset / 8 * 0x9E37ULL);
        char bytes[8];
        std::memcpy(bytes, &word, 8);
        const std::uint64_t from = offset % 8;
        const std::uint64_t n = std::min(length, 8 - from);
        std::memcpy(out, bytes + from, n);
        out += n;
        offset += n;
        length -= n;
    }
}

}  // namespace

std::uint64_t size_of(const Content& content) {
    std::uint64_t size = 0;
    for (const Piece& piece : content) size += piece.size;
    return size;
}

std::string bytes_of(const Content& content, std::uint64_t offset, std::uint64_t length) {
    std::string out(length, '\0');
    std::uint64_t filled = 0;
    for (const Piece& piece : content) {
        if (offset >= piece.size) {
            offset -= piece.size;
            continue;
        }
        const std::uint64_t n = std::min(length - filled, piece.size - offset);
        fill(piece, offset, n, out.data() + filled);
        filled += n;
        offset = 0;
        if (filled == length) break;
    }
    out.resize(filled);
    return out;
}

std::string bytes_of(const Piece& piece) { return bytes_of(Content{piece}, 0, piece.size); }

std::size_t first_difference(const Content& content, std::uint64_t offset, std::string_view bytes) {
    const std::string expected = bytes_of(content, offset, bytes.size());
    if (expected == bytes) return std::string::npos;
    const auto at = std::mismatch(expected.begin(), expected.end(), bytes.begin(), bytes.end());
    return static_cast<std::size_t>(at.first - expected.begin());
}

std::string plain_etag(const Piece& piece) {
    return base::hex_encode(base::as_bytes(crypto::md5(base::as_bytes(bytes_of(piece)))));
}

std::string composite_etag(const Content& parts) {
    std::string sums;
    for (const Piece& part : parts) sums += crypto::md5(base::as_bytes(bytes_of(part)));
    return base::hex_encode(base::as_bytes(crypto::md5(base::as_bytes(sums)))) + "-" +
           std::to_string(parts.size());
}

}  // namespace hamster::simulation
