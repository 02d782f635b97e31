// How the body of a blob is cut into stripes and slices, and the slices of one stripe as buffers.
// docs/formats/erasure.md describes it. Pure; any thread.
//
// A body is cut into stripes of k * slice_bytes. In the last stripe, of L bytes, each slice has
// ceil(L / k) bytes, so the body is padded with zeros at its end, by fewer than k bytes. An empty
// body has no stripe. With k = 1 a slice of a stripe is that piece of the body itself.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "erasure/codec.h"

namespace hamster::erasure {

struct Geometry {
    Profile profile;
    std::uint32_t slice_bytes = 0;  // of every slice but those of the last stripe
    bool operator==(const Geometry&) const = default;
    // Bytes of the body in a full stripe.
    [[nodiscard]] std::uint64_t stripe_bytes() const {
        return std::uint64_t{profile.k} * slice_bytes;
    }
};

// A valid profile, slices that are not empty, and stripes that can be numbered with 32 bits. What
// comes from disk or wire is checked with it; the functions below assert it.
bool is_valid(std::uint64_t size, Geometry geometry);

// Bytes of a body, without padding.
struct BodyRange {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    bool operator==(const BodyRange&) const = default;
};

// Where a byte of the body is.
struct Place {
    std::uint32_t stripe = 0;
    std::uint32_t slot = 0;    // < k
    std::uint32_t offset = 0;  // in the slice
    bool operator==(const Place&) const = default;
};

// The number of stripes of a body of `size` bytes.
std::uint32_t stripes(std::uint64_t size, Geometry geometry);
// Bytes of the body in a stripe (< stripes()); at least 1.
std::uint64_t body_length(std::uint64_t size, Geometry geometry, std::uint32_t stripe);
// Bytes of each slice of a stripe, padding included; at least 1.
std::uint32_t slice_length(std::uint64_t size, Geometry geometry, std::uint32_t stripe);
// Bytes of all slices of one slot: what a node stores of the blob.
std::uint64_t shard_bytes(std::uint64_t size, Geometry geometry);
// offset < size.
Place locate(std::uint64_t size, Geometry geometry, std::uint64_t offset);
// The part of the body in a data slice (slot < k). Shorter than the slice by the padding; may be
// empty, at an offset of at most `size`.
BodyRange body_range(std::uint64_t size, Geometry geometry, std::uint32_t stripe,
                     std::uint32_t slot);

// Gathers the bytes of one stripe after another straight into slices, so that a full stripe is
// never copied. The last one is moved apart in place.
class StripeBuilder {
  public:
    // `geometry` must be valid.
    explicit StripeBuilder(Geometry geometry);

    // Where the next bytes go: the rest of a slice. Empty when the stripe is full.
    [[nodiscard]] base::MutableBytes spare();
    // n bytes, at most spare(), were written there.
    void filled(std::size_t n);
    // Bytes gathered since the last take().
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] bool is_full() const { return size_ == geometry_.stripe_bytes(); }
    // The k data slices of what was gathered, which must not be nothing: for with_parity(). The
    // builder is empty again. A stripe that is not full must be the last one of its body.
    [[nodiscard]] std::vector<base::Buffer> take();

  private:
    void spread(std::uint32_t length);

    Geometry geometry_;
    std::vector<base::Buffer> slices_;  // those begun; each of slice_bytes capacity
    std::uint64_t size_ = 0;
};

// The k data slices of a stripe, padded. `data` is the body's part of the stripe, at least 1 byte
// and of a size that slices of 32 bits can hold. It is copied once.
std::vector<base::Buffer> cut(base::Bytes data, std::uint32_t k);
// Adds the m parity slices to the k data slices, which are not copied and must be equally long.
// With k = 1 that copies the body m times: a caller who only sends slices can send the one he has.
std::vector<base::Buffer> with_parity(const Codec& codec, std::vector<base::Buffer> data);
// Both: the k+m slices of a stripe.
std::vector<base::Buffer> encode_stripe(const Codec& codec, base::Bytes data);

// Makes the slices of plan.wanted() from those of plan.sources(). `slices` has k+m entries by slot;
// every entry at a source must be `length` bytes long (kCorrupt otherwise), the wanted ones are
// replaced, the others are left alone.
Result<void> rebuild(const Plan& plan, std::uint32_t length, std::vector<base::Buffer>* slices);
// The same with a plan for this one time: an empty entry is a slice that is not there. Wanted
// slices that are there stay. kUnavailable: fewer than k are there, and one is wanted that is not.
Result<void> rebuild(const Codec& codec, Slots wanted, std::uint32_t length,
                     std::vector<base::Buffer>* slices);

// The body's part of a stripe, body_length() bytes, from its data slices (the first k of `slices`),
// in one piece. They must be there. It is copied once.
base::Buffer join(std::span<const base::Buffer> slices, std::uint32_t k, std::uint64_t length);

}  // namespace hamster::erasure
