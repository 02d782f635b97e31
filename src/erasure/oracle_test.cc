// ISA-L as the oracle: it must store the same parity, and rebuild the same slices from it. It comes
// as a shared library only, so this test is a program of its own.
#include <gtest/gtest.h>
#include <isa-l/erasure_code.h>

#include <string>
#include <utility>
#include <vector>

#include "base/property_test.h"
#include "erasure/codec.h"
#include "erasure/scene.h"

namespace hamster::erasure {
namespace {

// ISA-L takes what it only reads as pointers to what it might write.
std::uint8_t* isal_pointer(const Slice& slice) {
    return reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(slice.data()));
}

// rows (outputs x k) times the slices, by ISA-L.
std::vector<Slice> isal_apply(std::vector<std::uint8_t> rows, std::uint32_t k,
                              const std::vector<const Slice*>& in, std::size_t length) {
    const std::size_t outputs = rows.size() / k;
    std::vector<std::uint8_t> tables(32 * rows.size());
    ec_init_tables(static_cast<int>(k), static_cast<int>(outputs), rows.data(), tables.data());
    std::vector<Slice> out(outputs, Slice(length));
    std::vector<std::uint8_t*> from;
    std::vector<std::uint8_t*> to;
    from.reserve(in.size());
    to.reserve(outputs);
    for (const Slice* slice : in) from.push_back(isal_pointer(*slice));
    for (const Slice& slice : out) to.push_back(isal_pointer(slice));
    ec_encode_data(static_cast<int>(length), static_cast<int>(k), static_cast<int>(outputs),
                   tables.data(), from.data(), to.data());
    return out;
}

std::vector<std::uint8_t> isal_generator(Profile profile) {
    std::vector<std::uint8_t> matrix(std::size_t{profile.width()} * profile.k);
    gf_gen_cauchy1_matrix(matrix.data(), static_cast<int>(profile.width()),
                          static_cast<int>(profile.k));
    return matrix;
}

std::vector<const Slice*> pick(const std::vector<Slice>& slices,
                               const std::vector<std::uint32_t>& slots) {
    std::vector<const Slice*> picked;
    picked.reserve(slots.size());
    for (const std::uint32_t slot : slots) picked.push_back(&slices[slot]);
    return picked;
}

std::vector<Slice> isal_parity(Profile profile, const std::vector<Slice>& slices) {
    std::vector<std::uint8_t> matrix = isal_generator(profile);
    matrix.erase(matrix.begin(), matrix.begin() + profile.k * profile.k);
    return isal_apply(std::move(matrix), profile.k, pick(slices, Slots::first(profile.k).list()),
                      slices[0].size());
}

// The data slices, from any k slices.
std::vector<Slice> isal_decode(Profile profile, const std::vector<Slice>& slices, Slots sources) {
    const std::vector<std::uint8_t> matrix = isal_generator(profile);
    std::vector<std::uint8_t> selected;
    for (const std::uint32_t slot : sources.list()) {
        const auto row = matrix.begin() + slot * profile.k;
        selected.insert(selected.end(), row, row + profile.k);
    }
    std::vector<std::uint8_t> inverse(selected.size());
    EXPECT_EQ(gf_invert_matrix(selected.data(), inverse.data(), static_cast<int>(profile.k)), 0);
    return isal_apply(std::move(inverse), profile.k, pick(slices, sources.list()),
                      slices[0].size());
}

std::string name_of(const Codec& codec) {
    return std::to_string(codec.profile().k) + "+" + std::to_string(codec.profile().m) + " " +
           std::string(to_string(codec.kernel()));
}

TEST(Oracle, MultipliesAlike) {
    for (unsigned a = 0; a < 256; ++a) {
        for (unsigned b = 0; b < 256; ++b) {
            const auto x = static_cast<Element>(a);
            const auto y = static_cast<Element>(b);
            ASSERT_EQ(multiply(x, y), gf_mul(x, y)) << a << " " << b;
        }
        ASSERT_EQ(invert(static_cast<Element>(a)), gf_inv(static_cast<Element>(a))) << a;
    }
}

TEST(Oracle, HasTheSameGenerator) {
    for (std::uint32_t k = 2; k <= kMaxSlots; ++k) {  // for k = 1 ours is copies
        const Profile profile{k, static_cast<std::uint32_t>(kMaxSlots) - k};
        const std::vector<std::uint8_t> theirs = isal_generator(profile);
        const Matrix ours = generator(profile.k, profile.m);
        for (std::uint32_t i = 0; i < profile.width(); ++i) {
            for (std::uint32_t j = 0; j < k; ++j) {
                ASSERT_EQ(ours.at(i, j), theirs[i * k + j]) << k << " " << i << " " << j;
            }
        }
    }
}

TEST(Oracle, StoresTheSameParity) {
    for (const Kernel kernel : supported_kernels()) {
        for (const Profile profile : kProfiles) {
            if (profile.k == 1) continue;
            const Codec codec(profile, kernel);
            for (const std::size_t length : {1UL, 63UL, 64UL, 65UL, 1000UL, 4097UL, 262144UL}) {
                std::vector<Slice> slices = encoded(codec, length);
                const std::vector<Slice> theirs = isal_parity(profile, slices);
                slices.erase(slices.begin(), slices.begin() + profile.k);
                ASSERT_EQ(slices, theirs) << name_of(codec) << " length " << length;
            }
        }
    }
}

// Both rebuild each loss of up to m slices; ISA-L decodes the data slices.
TEST(Oracle, RebuildsTheSameSlices) {
    for (const Profile profile : kProfiles) {
        if (profile.k == 1) continue;
        const Codec codec(profile);
        const std::vector<Slice> slices = encoded(codec, 300);
        const std::uint32_t all = Slots::first(profile.width()).bits();
        for (std::uint32_t bits = 0; bits <= all; ++bits) {
            const Slots lost = Slots::from_bits(bits);
            if (lost.count() > profile.m) continue;
            const auto plan = codec.plan(Slots::from_bits(all & ~bits), lost);
            ASSERT_TRUE(plan);
            const std::vector<Slice> theirs = isal_decode(profile, slices, plan->sources());
            const std::vector<Slice> ours = run(*plan, slices, 300);
            for (const std::uint32_t slot : lost.list()) {
                ASSERT_EQ(ours[slot], slices[slot]) << name_of(codec) << " lost " << bits;
                if (slot < profile.k) {
                    ASSERT_EQ(theirs[slot], ours[slot]) << name_of(codec) << " lost " << bits;
                }
            }
        }
    }
}

TEST(Oracle, AgreesForAnyProfileProperty) {
    base::expect_property([] {
        const auto k = *rc::gen::inRange<std::uint32_t>(2, 32);
        const auto m = *rc::gen::inRange<std::uint32_t>(1, 33 - k);
        const auto length = *rc::gen::inRange<std::size_t>(1, 3000);
        std::vector<Slice> slices = encoded(Codec({k, m}), length, length);
        const std::vector<Slice> theirs = isal_parity({k, m}, slices);
        slices.erase(slices.begin(), slices.begin() + k);
        RC_ASSERT(slices == theirs);
    });
}

}  // namespace
}  // namespace hamster::erasure
