// Slices full of arbitrary bytes, for the tests of this room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "erasure/codec.h"

namespace hamster::erasure {

using Slice = std::vector<std::byte>;

inline const Profile kProfiles[] = {{1, 0}, {1, 1}, {1, 2}, {2, 1}, {3, 2}, {4, 2}, {8, 4}};

inline std::vector<Kernel> supported_kernels() {
    std::vector<Kernel> kernels;
    for (const Kernel kernel : kKernels) {
        if (is_supported(kernel)) kernels.push_back(kernel);
    }
    return kernels;
}

// The same bytes for the same seed (splitmix64).
inline Slice arbitrary(std::size_t length, std::uint64_t seed) {
    Slice slice(length);
    std::uint64_t state = seed * 0x2545F4914F6CDD1D + 1;
    for (std::byte& byte : slice) {
        state += 0x9E3779B97F4A7C15;
        std::uint64_t mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        byte = static_cast<std::byte>(mixed >> 56);
    }
    return slice;
}

inline std::vector<const std::byte*> read_pointers(const std::vector<Slice>& slices) {
    std::vector<const std::byte*> pointers;
    pointers.reserve(slices.size());
    for (const Slice& slice : slices) pointers.push_back(slice.data());
    return pointers;
}
inline std::vector<std::byte*> write_pointers(std::vector<Slice>* slices) {
    std::vector<std::byte*> pointers;
    pointers.reserve(slices->size());
    for (Slice& slice : *slices) pointers.push_back(slice.data());
    return pointers;
}

// All k+m slices of a stripe of arbitrary data.
inline std::vector<Slice> encoded(const Codec& codec, std::size_t length, std::uint64_t seed = 1) {
    const Profile profile = codec.profile();
    std::vector<Slice> data;
    data.reserve(profile.width());
    for (std::uint32_t slot = 0; slot < profile.k; ++slot) {
        data.push_back(arbitrary(length, seed * kMaxSlots + slot));
    }
    std::vector<Slice> parity(profile.m, Slice(length));
    codec.encode(read_pointers(data), write_pointers(&parity), length);
    for (Slice& slice : parity) data.push_back(std::move(slice));
    return data;
}

// What the plan makes of the slices, by slot; empty where it makes nothing. It gets to see only its
// sources.
inline std::vector<Slice> run(const Plan& plan, const std::vector<Slice>& slices,
                              std::size_t length) {
    std::vector<const std::byte*> from(slices.size(), nullptr);
    std::vector<Slice> made(slices.size());
    std::vector<std::byte*> to(slices.size(), nullptr);
    for (std::uint32_t slot = 0; slot < slices.size(); ++slot) {
        if (plan.sources().has(slot)) from[slot] = slices[slot].data();
        if (!plan.wanted().has(slot)) continue;
        made[slot].resize(length);
        to[slot] = made[slot].data();
    }
    plan.run(from, to, length);
    return made;
}

}  // namespace hamster::erasure
