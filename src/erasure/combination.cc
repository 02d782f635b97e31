#include "erasure/combination.h"

#include <array>
#include <cstring>
#include <functional>

#include "base/assert.h"

namespace hamster::erasure {
namespace {

CombineFn function_of(Kernel kernel) {
    switch (kernel) {
        case Kernel::kPortable:
            return combine_portable;
#if defined(__x86_64__)
        case Kernel::kAvx2:
            return combine_avx2;
        case Kernel::kGfni:
            return combine_gfni;
#else
        default:
            break;
#endif
    }
    return nullptr;
}

// Bit i of the product with x is the parity of x & row i, and row i has bit j set when bit i of
// value * 2^j is. The instruction wants row i in byte 7 - i.
std::uint64_t affine_matrix(Element value) {
    std::uint64_t matrix = 0;
    for (unsigned j = 0; j < 8; ++j) {
        const Element column = multiply(value, static_cast<Element>(1U << j));
        for (unsigned i = 0; i < 8; ++i) {
            const std::uint64_t bit = (column >> i) & 1U;
            matrix |= bit << (8 * (7 - i) + j);
        }
    }
    return matrix;
}

Factor make_factor(Element value) {
    Factor factor{.affine = affine_matrix(value), .low = {}, .high = {}, .value = value};
    for (unsigned n = 0; n < 16; ++n) {
        factor.low[n] = multiply(value, static_cast<Element>(n));
        factor.high[n] = multiply(value, static_cast<Element>(n << 4U));
    }
    return factor;
}

bool overlap(const std::byte* a, const std::byte* b, std::size_t length) {
    const std::less<> before;  // defined for pointers into different objects, too
    return before(a, b + length) && before(b, a + length);
}

void check_apart(std::span<const std::byte* const> in, std::span<std::byte* const> out,
                 std::size_t length) {
    for (std::size_t o = 0; o < out.size(); ++o) {
        HAMSTER_ASSERT(out[o] != nullptr, o);
        for (std::size_t i = 0; i < in.size(); ++i) {
            HAMSTER_ASSERT(in[i] != nullptr, i);
            HAMSTER_ASSERT(!overlap(out[o], in[i], length), o, i, length);
        }
        for (std::size_t p = 0; p < o; ++p) {
            HAMSTER_ASSERT(!overlap(out[o], out[p], length), o, p, length);
        }
    }
}

}  // namespace

std::string_view to_string(Kernel kernel) {
    switch (kernel) {
        case Kernel::kPortable:
            return "portable";
        case Kernel::kAvx2:
            return "avx2";
        case Kernel::kGfni:
            return "gfni";
    }
    HAMSTER_ASSERT(false, static_cast<int>(kernel));
}

bool is_supported(Kernel kernel) {
    switch (kernel) {
        case Kernel::kPortable:
            return true;
#if defined(__x86_64__)
        case Kernel::kAvx2:
            return __builtin_cpu_supports("avx2") != 0;
        case Kernel::kGfni:
            return __builtin_cpu_supports("gfni") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
                   __builtin_cpu_supports("avx512bw") != 0;
#else
        default:
            break;
#endif
    }
    return false;
}

Kernel best_kernel() {
    static const Kernel best = [] {
        if (is_supported(Kernel::kGfni)) return Kernel::kGfni;
        if (is_supported(Kernel::kAvx2)) return Kernel::kAvx2;
        return Kernel::kPortable;
    }();
    return best;
}

Combination::Combination(const Matrix& rows, Kernel kernel)
    : inputs_(rows.columns()),
      outputs_(rows.rows()),
      copies_(rows.columns() == 1),
      combine_(function_of(kernel)) {
    HAMSTER_ASSERT(is_supported(kernel) && combine_ != nullptr, to_string(kernel));
    HAMSTER_ASSERT(inputs_ >= 1 && inputs_ <= kMaxSlots && outputs_ <= kMaxSlots, inputs_,
                   outputs_);
    factors_.reserve(std::size_t{inputs_} * outputs_);
    for (std::uint32_t o = 0; o < outputs_; ++o) {
        for (std::uint32_t i = 0; i < inputs_; ++i) {
            factors_.push_back(make_factor(rows.at(o, i)));
            copies_ = copies_ && rows.at(o, i) == 1;
        }
    }
}

void Combination::apply(std::span<const std::byte* const> in, std::span<std::byte* const> out,
                        std::size_t length) const {
    HAMSTER_ASSERT(in.size() == inputs_ && out.size() == outputs_, in.size(), inputs_, out.size(),
                   outputs_);
    if (length == 0 || out.empty()) return;
    check_apart(in, out, length);
    if (copies_) {
        for (std::byte* to : out) std::memcpy(to, in[0], length);
        return;
    }
    std::array<const std::uint8_t*, kMaxSlots> from{};
    std::array<std::uint8_t*, kMaxSlots> to{};
    for (std::size_t i = 0; i < in.size(); ++i) {
        from[i] = reinterpret_cast<const std::uint8_t*>(in[i]);
    }
    for (std::size_t o = 0; o < out.size(); ++o) to[o] = reinterpret_cast<std::uint8_t*>(out[o]);
    combine_(factors_.data(), from.data(), inputs_, to.data(), outputs_, length);
}

}  // namespace hamster::erasure
