// The one pseudo-random generator: xoshiro256++ seeded through splitmix64. Not for keys.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "runtime/world.h"

namespace hamster::runtime {

// One round of splitmix64: a bijection that spreads every input bit over the output.
constexpr std::uint64_t mix64(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

// A hash of a short text, the same on every machine and build.
constexpr std::uint64_t mix_text(std::uint64_t seed, std::string_view text) {
    std::uint64_t hash = mix64(seed ^ text.size());
    for (const char c : text) {
        hash = mix64(hash ^ static_cast<std::uint8_t>(c));
    }
    return hash;
}

// One loop at a time.
class Prng final : public Random {
  public:
    explicit Prng(std::uint64_t seed) {
        for (auto& word : state_) {
            word = seed = mix64(seed);
        }
    }
    // An independent stream for one purpose: draws of one do not shift those of another.
    static Prng split(std::uint64_t seed, std::string_view purpose) {
        return Prng(mix_text(seed, purpose));
    }

    std::uint64_t next() override {
        const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

  private:
    std::array<std::uint64_t, 4> state_{};
};

}  // namespace hamster::runtime
