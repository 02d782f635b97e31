// How one blob is cut: its size and its geometry, checked. What they mean is erasure/stripe.h's.
// Pure; any thread.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "erasure/stripe.h"
#include "proto/objects.pb.h"
#include "proto/records.pb.h"

namespace hamster::objects {

struct Shape {
    std::uint64_t size = 0;  // of the body, bytes; at least 1
    erasure::Geometry geometry;
    bool operator==(const Shape&) const = default;

    [[nodiscard]] std::uint32_t k() const { return geometry.profile.k; }
    [[nodiscard]] std::uint32_t m() const { return geometry.profile.m; }
    [[nodiscard]] std::uint32_t width() const { return geometry.profile.width(); }
    [[nodiscard]] std::uint32_t stripes() const { return erasure::stripes(size, geometry); }
    // Bytes of the body in a stripe, which must exist.
    [[nodiscard]] std::uint64_t body_length(std::uint32_t stripe) const {
        return erasure::body_length(size, geometry, stripe);
    }
    // Of each slice of a stripe, which must exist.
    [[nodiscard]] std::uint32_t slice_length(std::uint32_t stripe) const {
        return erasure::slice_length(size, geometry, stripe);
    }
    [[nodiscard]] std::uint64_t shard_bytes() const { return erasure::shard_bytes(size, geometry); }
};

// kCorrupt: a shape that no blob has.
Result<Shape> shape_of(const proto::Blob& blob);
Result<Shape> shape_of(const proto::BlobPlace& place);

// A blob counts as stored with so many shards at least: it can lose one more and still be read,
// unless it has no parity at all.
constexpr std::uint32_t floor_of(erasure::Profile profile) {
    return profile.m == 0 ? profile.k : profile.k + 1;
}

}  // namespace hamster::objects
