// Bytes that need not be kept: any range of a body is computed from its seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace hamster::simulation {

struct Piece {
    std::uint64_t seed = 0;
    std::uint64_t size = 0;
    bool operator==(const Piece&) const = default;
};
// The body of a version: one piece of a PUT, several of a multipart upload.
using Content = std::vector<Piece>;

std::uint64_t size_of(const Content& content);
std::string bytes_of(const Content& content, std::uint64_t offset, std::uint64_t length);
std::string bytes_of(const Piece& piece);
// Where `bytes` first differ from the content at `offset`; npos when they are equal.
std::size_t first_difference(const Content& content, std::uint64_t offset, std::string_view bytes);
// Hex, as S3 forms it: of the whole, or of the parts' MD5s.
std::string plain_etag(const Piece& piece);
std::string composite_etag(const Content& parts);

}  // namespace hamster::simulation
