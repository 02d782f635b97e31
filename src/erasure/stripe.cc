#include "erasure/stripe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "base/assert.h"

namespace hamster::erasure {
namespace {

using base::Buffer;

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();

std::uint64_t divide_up(std::uint64_t n, std::uint64_t by) { return n / by + (n % by != 0); }

void check(std::uint64_t size, Geometry geometry) {
    HAMSTER_ASSERT(is_valid(size, geometry), size, geometry.profile.k, geometry.profile.m,
                   geometry.slice_bytes);
}

Buffer buffer_of_size(std::size_t size) {
    Buffer buffer(size);
    buffer.resize(size);
    return buffer;
}

// Zeros in `slice` from `begin` to its end.
void pad(Buffer* slice, std::uint64_t begin) {
    if (begin < slice->size()) std::memset(slice->data() + begin, 0, slice->size() - begin);
}

}  // namespace

bool is_valid(std::uint64_t size, Geometry geometry) {
    return is_valid(geometry.profile) && geometry.slice_bytes > 0 &&
           divide_up(size, geometry.stripe_bytes()) <= kMax32;
}

std::uint32_t stripes(std::uint64_t size, Geometry geometry) {
    check(size, geometry);
    return static_cast<std::uint32_t>(divide_up(size, geometry.stripe_bytes()));
}

std::uint64_t body_length(std::uint64_t size, Geometry geometry, std::uint32_t stripe) {
    HAMSTER_ASSERT(stripe < stripes(size, geometry), stripe, size);
    return std::min(geometry.stripe_bytes(), size - stripe * geometry.stripe_bytes());
}

std::uint32_t slice_length(std::uint64_t size, Geometry geometry, std::uint32_t stripe) {
    const std::uint64_t body = body_length(size, geometry, stripe);
    return static_cast<std::uint32_t>(divide_up(body, geometry.profile.k));
}

std::uint64_t shard_bytes(std::uint64_t size, Geometry geometry) {
    const std::uint32_t count = stripes(size, geometry);
    if (count == 0) return 0;
    const std::uint64_t full = std::uint64_t{count - 1} * geometry.slice_bytes;
    return full + slice_length(size, geometry, count - 1);
}

Place locate(std::uint64_t size, Geometry geometry, std::uint64_t offset) {
    HAMSTER_ASSERT(offset < size, offset, size);
    check(size, geometry);
    const auto stripe = static_cast<std::uint32_t>(offset / geometry.stripe_bytes());
    const std::uint64_t inside = offset % geometry.stripe_bytes();
    const std::uint32_t length = slice_length(size, geometry, stripe);
    const Place place{.stripe = stripe,
                      .slot = static_cast<std::uint32_t>(inside / length),
                      .offset = static_cast<std::uint32_t>(inside % length)};
    HAMSTER_ASSERT(place.slot < geometry.profile.k, place.slot, offset, size);
    return place;
}

BodyRange body_range(std::uint64_t size, Geometry geometry, std::uint32_t stripe,
                     std::uint32_t slot) {
    HAMSTER_ASSERT(slot < geometry.profile.k, slot, geometry.profile.k);
    const std::uint64_t body = body_length(size, geometry, stripe);
    const std::uint32_t length = slice_length(size, geometry, stripe);
    const std::uint64_t begin = std::min(body, std::uint64_t{slot} * length);
    const std::uint64_t end = std::min(body, begin + length);
    return {.offset = stripe * geometry.stripe_bytes() + begin,
            .length = static_cast<std::uint32_t>(end - begin)};
}

StripeBuilder::StripeBuilder(Geometry geometry) : geometry_(geometry) { check(0, geometry); }

base::MutableBytes StripeBuilder::spare() {
    if (is_full()) return {};
    if (size_ % geometry_.slice_bytes == 0 && size_ / geometry_.slice_bytes == slices_.size()) {
        slices_.push_back(buffer_of_size(geometry_.slice_bytes));
    }
    return slices_.back().writable().subspan(size_ % geometry_.slice_bytes);
}

void StripeBuilder::filled(std::size_t n) {
    if (n == 0) return;
    HAMSTER_ASSERT(n <= spare().size(), n, size_);
    size_ += n;
}

std::vector<Buffer> StripeBuilder::take() {
    HAMSTER_ASSERT(size_ > 0);
    const auto length = static_cast<std::uint32_t>(divide_up(size_, geometry_.profile.k));
    while (slices_.size() < geometry_.profile.k) slices_.emplace_back(length);
    if (length < geometry_.slice_bytes) spread(length);
    for (std::uint32_t slot = 0; slot < geometry_.profile.k; ++slot) {
        slices_[slot].resize(length);
        const std::uint64_t begin = std::uint64_t{slot} * length;
        pad(&slices_[slot], size_ > begin ? size_ - begin : 0);
    }
    size_ = 0;
    return std::exchange(slices_, {});
}

// Moves the gathered bytes from slices of slice_bytes to slices of `length`, which is less. From
// the end: a byte never moves to an earlier slot, nor to the left inside its own, so what is
// overwritten has been moved already.
void StripeBuilder::spread(std::uint32_t length) {
    const std::uint64_t old_length = geometry_.slice_bytes;
    for (std::uint64_t slot = slices_.size(); slot-- > 0;) {
        const std::uint64_t begin = slot * length;
        std::uint64_t end = std::min(size_, begin + length);
        while (end > begin) {
            const std::uint64_t from = (end - 1) / old_length;
            const std::uint64_t piece = std::max(begin, from * old_length);
            std::memmove(slices_[slot].data() + (piece - begin),
                         slices_[from].data() + (piece - from * old_length), end - piece);
            end = piece;
        }
    }
}

std::vector<Buffer> cut(base::Bytes data, std::uint32_t k) {
    HAMSTER_ASSERT(k >= 1 && k <= kMaxSlots, k);
    const std::uint64_t length = divide_up(data.size(), k);
    HAMSTER_ASSERT(length >= 1 && length <= kMax32, length);
    std::vector<Buffer> slices;
    for (std::uint32_t slot = 0; slot < k; ++slot) {
        const std::uint64_t begin = std::min<std::uint64_t>(data.size(), slot * length);
        const std::uint64_t bytes = std::min<std::uint64_t>(data.size() - begin, length);
        Buffer slice(length);
        slice.append(data.subspan(begin, bytes));
        slice.resize(length);
        pad(&slice, bytes);
        slices.push_back(std::move(slice));
    }
    return slices;
}

std::vector<Buffer> with_parity(const Codec& codec, std::vector<Buffer> data) {
    const Profile profile = codec.profile();
    HAMSTER_ASSERT(data.size() == profile.k, data.size(), profile.k);
    const std::size_t length = data[0].size();
    std::array<const std::byte*, kMaxSlots> from{};
    std::array<std::byte*, kMaxSlots> to{};
    for (std::uint32_t slot = 0; slot < profile.k; ++slot) {
        HAMSTER_ASSERT(data[slot].size() == length, slot, data[slot].size(), length);
        from[slot] = data[slot].data();
    }
    for (std::uint32_t row = 0; row < profile.m; ++row) {
        data.push_back(buffer_of_size(length));
        to[row] = data.back().data();
    }
    codec.encode({from.data(), profile.k}, {to.data(), profile.m}, length);
    return data;
}

std::vector<Buffer> encode_stripe(const Codec& codec, base::Bytes data) {
    return with_parity(codec, cut(data, codec.profile().k));
}

Result<void> rebuild(const Plan& plan, std::uint32_t length, std::vector<Buffer>* slices) {
    std::array<const std::byte*, kMaxSlots> from{};
    std::array<std::byte*, kMaxSlots> to{};
    HAMSTER_ASSERT(slices->size() <= kMaxSlots, slices->size());
    for (std::uint32_t slot = 0; slot < slices->size(); ++slot) {
        const Buffer& slice = (*slices)[slot];
        from[slot] = slice.data();
        if (plan.sources().has(slot) && slice.size() != length) {
            return fail(Code::kCorrupt, fmt::format("slot {} has a slice of {} bytes instead of {}",
                                                    slot, slice.size(), length));
        }
    }
    for (const std::uint32_t slot : plan.wanted().list()) {
        HAMSTER_ASSERT(slot < slices->size(), slot, slices->size());
        (*slices)[slot] = buffer_of_size(length);
        to[slot] = (*slices)[slot].data();
    }
    plan.run({from.data(), slices->size()}, {to.data(), slices->size()}, length);
    return {};
}

Result<void> rebuild(const Codec& codec, Slots wanted, std::uint32_t length,
                     std::vector<Buffer>* slices) {
    HAMSTER_ASSERT(slices->size() == codec.profile().width(), slices->size());
    Slots present;
    for (std::uint32_t slot = 0; slot < slices->size(); ++slot) {
        if ((*slices)[slot].empty()) continue;
        present.add(slot);
        wanted.remove(slot);
    }
    if (wanted.empty()) return {};
    TRY_ASSIGN(const Plan plan, codec.plan(present, wanted));
    return rebuild(plan, length, slices);
}

Buffer join(std::span<const Buffer> slices, std::uint32_t k, std::uint64_t length) {
    HAMSTER_ASSERT(k >= 1 && slices.size() >= k, slices.size(), k);
    Buffer body(length);
    for (std::uint32_t slot = 0; slot < k; ++slot) {
        const base::Bytes slice = slices[slot].bytes();
        HAMSTER_ASSERT(slice.size() == divide_up(length, k), slot, slice.size(), length);
        body.append(slice.first(std::min(slice.size(), length - body.size())));
    }
    return body;
}

}  // namespace hamster::erasure
