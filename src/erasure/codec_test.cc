#include "erasure/codec.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <tuple>

#include "base/encoding.h"
#include "base/property_test.h"
#include "erasure/scene.h"

namespace hamster::erasure {
namespace {

constexpr std::size_t kLengths[] = {0,   1,   15,  31,   32,   33,   63,   64,        65,
                                    127, 255, 256, 1000, 4095, 4096, 4097, 256 << 10, 100003};

std::string hex_of(const Slice& slice) { return base::hex_encode(slice); }

// ---- golden bytes: parity that is stored
// ---------------------------------------------------------

struct Golden {
    Profile profile;
    std::vector<std::string> parity;
};

// Data slice j has the bytes 37 * (8 * j + x) + 11 mod 256, for x = 0 .. 7. The parity was computed
// by a program that shares nothing with this one; also in docs/formats/erasure.md.
const Golden kGolden[] = {
    {{1, 1}, {"0b30557a9fc4e90e"}},
    {{1, 2}, {"0b30557a9fc4e90e", "0b30557a9fc4e90e"}},
    {{2, 1}, {"9adb8fa877cdf515"}},
    {{3, 2}, {"3ebc264677d513b4", "a586f4c02052fd6d"}},
    {{4, 2}, {"29bedbe64e883889", "8175f81f30e1ff21"}},
    {{8, 4}, {"85a71e4b3aa34c08", "6d97e0feca7d0ee0", "420545d186c975cf", "d6a70818b936d95b"}},
};

TEST(Codec, GoldenParity) {
    for (const Kernel kernel : supported_kernels()) {
        for (const Golden& golden : kGolden) {
            const Codec codec(golden.profile, kernel);
            std::vector<Slice> data(golden.profile.k);
            for (std::size_t n = 0; n < 8UL * golden.profile.k; ++n) {
                data[n / 8].push_back(static_cast<std::byte>(37 * n + 11));
            }
            std::vector<Slice> parity(golden.profile.m, Slice(8));
            codec.encode(read_pointers(data), write_pointers(&parity), 8);
            for (std::size_t row = 0; row < parity.size(); ++row) {
                EXPECT_EQ(hex_of(parity[row]), golden.parity[row])
                    << golden.profile.k << "+" << golden.profile.m << " " << to_string(kernel);
            }
        }
    }
}

// ---- every loss
// ----------------------------------------------------------------------------------

void expect_rebuilds(const Codec& codec, const std::vector<Slice>& slices, Slots lost) {
    const Slots all = Slots::first(codec.profile().width());
    const auto plan = codec.plan(Slots::from_bits(all.bits() & ~lost.bits()), lost);
    ASSERT_TRUE(plan) << plan.error().context;
    const std::vector<Slice> made = run(*plan, slices, slices[0].size());
    for (const std::uint32_t slot : lost.list()) {
        ASSERT_EQ(made[slot], slices[slot])
            << codec.profile().k << "+" << codec.profile().m << " " << to_string(codec.kernel())
            << " lost " << lost.bits() << " slot " << slot << " length " << slices[0].size();
    }
}

void for_losses(Profile profile, const std::function<void(Slots)>& fn) {
    for (std::uint32_t bits = 0; bits < 1U << profile.width(); ++bits) {
        const Slots lost = Slots::from_bits(bits);
        if (lost.count() <= profile.m) fn(lost);
    }
}

TEST(Codec, RebuildsEveryLossOfEveryProfile) {
    for (const Kernel kernel : supported_kernels()) {
        for (const Profile profile : kProfiles) {
            const Codec codec(profile, kernel);
            // A few blocks of each kernel, and a tail.
            const std::vector<Slice> slices = encoded(codec, 64 * 5 + 37);
            for_losses(profile, [&](Slots lost) { expect_rebuilds(codec, slices, lost); });
        }
    }
}

TEST(Codec, RebuildsSlicesOfAnyLength) {
    for (const Kernel kernel : supported_kernels()) {
        for (const Profile profile : kProfiles) {
            const Codec codec(profile, kernel);
            for (const std::size_t length : kLengths) {
                const std::vector<Slice> slices = encoded(codec, length);
                expect_rebuilds(codec, slices, Slots::first(profile.m));
            }
        }
    }
}

TEST(Codec, RebuildsFromAnyKProperty) {
    base::expect_property([] {
        const auto k = *rc::gen::inRange<std::uint32_t>(1, 33);
        const auto m = *rc::gen::inRange<std::uint32_t>(0, 33 - k);
        const auto length = *rc::gen::inRange<std::size_t>(0, 300);
        const Codec codec({k, m});
        const std::vector<Slice> slices = encoded(codec, length, length + 1);
        Slots lost;
        for (std::uint32_t n = 0; n < m; ++n) {
            lost.add(*rc::gen::inRange<std::uint32_t>(0, k + m));
        }
        const std::uint32_t present = Slots::first(k + m).bits() & ~lost.bits();
        const auto plan = codec.plan(Slots::from_bits(present), lost);
        RC_ASSERT(plan.has_value());
        const std::vector<Slice> made = run(*plan, slices, length);
        for (const std::uint32_t slot : lost.list()) RC_ASSERT(made[slot] == slices[slot]);
    });
}

// ---- the plan
// ------------------------------------------------------------------------------------

TEST(Plan, PrefersDataSlices) {
    const Codec codec({4, 2});
    EXPECT_EQ(codec.plan({0, 1, 2, 3, 5}, {4})->sources(), (Slots{0, 1, 2, 3}));
    EXPECT_EQ(codec.plan({0, 2, 3, 4, 5}, {1})->sources(), (Slots{0, 2, 3, 4}));
    EXPECT_EQ(codec.plan({0, 2, 4, 5}, {1, 3})->wanted(), (Slots{1, 3}));
}

TEST(Plan, MakesOnlyWhatIsWanted) {
    const Codec codec({4, 2});
    const std::vector<Slice> slices = encoded(codec, 100);
    const auto plan = codec.plan({1, 2, 4, 5}, {3});  // slot 0 is lost, too
    const std::vector<Slice> made = run(*plan, slices, 100);
    EXPECT_EQ(made[3], slices[3]);
    EXPECT_TRUE(made[0].empty());
}

TEST(Plan, OfOneParitySliceEqualsEncoding) {
    const Codec codec({8, 4});
    const std::vector<Slice> slices = encoded(codec, 777);
    const auto plan = codec.plan(Slots::first(8), {10});
    EXPECT_EQ(run(*plan, slices, 777)[10], slices[10]);
}

TEST(Plan, NeedsK) {
    const Codec codec({3, 2});
    const auto plan = codec.plan({0, 4}, {1});
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error(), (Error{Code::kUnavailable, "only 2 of the 3 slices needed are there"}));
    EXPECT_EQ(codec.plan({}, {}).error().code, Code::kUnavailable);
}

TEST(Plan, OutlivesItsCodecAndServesManyStripes) {
    std::vector<Plan> plans;
    std::vector<std::vector<Slice>> stripes;
    {
        const Codec codec({4, 2});
        plans.push_back(*codec.plan({2, 3, 4, 5}, {0, 1}));
        for (std::uint64_t seed = 1; seed < 4; ++seed) stripes.push_back(encoded(codec, 64, seed));
    }
    for (const std::vector<Slice>& stripe : stripes) {
        EXPECT_EQ(run(plans[0], stripe, 64)[0], stripe[0]);
        EXPECT_EQ(run(plans[0], stripe, 64)[1], stripe[1]);
    }
}

TEST(Codec, OneDataSliceMeansCopies) {
    const Codec codec({1, 2});
    const std::vector<Slice> slices = encoded(codec, 100);
    EXPECT_EQ(slices[1], slices[0]);
    EXPECT_EQ(slices[2], slices[0]);
    EXPECT_EQ(run(*codec.plan({2}, {0, 1}), slices, 100)[0], slices[0]);
}

TEST(Profile, Valid) {
    EXPECT_TRUE(is_valid(Profile{1, 0}));
    EXPECT_TRUE(is_valid(Profile{1, 31}));
    EXPECT_TRUE(is_valid(Profile{32, 0}));
    EXPECT_TRUE(is_valid(Profile{28, 4}));
    EXPECT_FALSE(is_valid(Profile{0, 1}));
    EXPECT_FALSE(is_valid(Profile{33, 0}));
    EXPECT_FALSE(is_valid(Profile{28, 5}));
    EXPECT_FALSE(is_valid(Profile{2, ~0U}));
    EXPECT_FALSE(is_valid(Profile{~0U, 2}));
}

TEST(Slots, Set) {
    Slots slots{3, 0, 31};
    EXPECT_EQ(slots.bits(), 0x80000009U);
    EXPECT_EQ(slots.count(), 3U);
    EXPECT_EQ(slots.list(), (std::vector<std::uint32_t>{0, 3, 31}));
    slots.remove(3);
    EXPECT_FALSE(slots.has(3));
    EXPECT_FALSE(slots.has(32));
    EXPECT_TRUE(slots.has(31));
    EXPECT_EQ(Slots::first(0), Slots());
    EXPECT_EQ(Slots::first(32).bits(), ~0U);
}

// ---- kernels
// -------------------------------------------------------------------------------------

TEST(Kernels, TheBestIsSupported) {
    EXPECT_TRUE(is_supported(best_kernel()));
    EXPECT_TRUE(is_supported(Kernel::kPortable));
}

// Bytes, one by one, as the definition says.
std::vector<Slice> by_definition(const Matrix& rows, const std::vector<Slice>& in,
                                 std::size_t length) {
    std::vector<Slice> out(rows.rows(), Slice(length));
    for (std::uint32_t o = 0; o < rows.rows(); ++o) {
        for (std::size_t x = 0; x < length; ++x) {
            Element sum = 0;
            for (std::uint32_t i = 0; i < rows.columns(); ++i) {
                sum = add(sum, multiply(rows.at(o, i), std::to_integer<Element>(in[i][x])));
            }
            out[o][x] = std::byte{sum};
        }
    }
    return out;
}

TEST(Kernels, MultiplyEveryByteByEveryElement) {
    std::vector<Slice> in(1);
    for (unsigned n = 0; n < 256; ++n) in[0].push_back(static_cast<std::byte>(n));
    for (const Kernel kernel : supported_kernels()) {
        for (unsigned value = 0; value < 256; ++value) {
            Matrix rows(1, 1);
            rows.at(0, 0) = static_cast<Element>(value);
            std::vector<Slice> out(1, Slice(256, std::byte{0xEE}));
            Combination(rows, kernel).apply(read_pointers(in), write_pointers(&out), 256);
            ASSERT_EQ(out, by_definition(rows, in, 256)) << value << " " << to_string(kernel);
        }
    }
}

// Any matrix, any alignment of each slice, whatever was in the outputs before.
TEST(Kernels, CombineAsDefinedProperty) {
    base::expect_property([] {
        const auto inputs = *rc::gen::inRange<std::uint32_t>(1, 33);
        const auto outputs = *rc::gen::inRange<std::uint32_t>(1, 33);
        const auto length = *rc::gen::inRange<std::size_t>(0, 700);
        const auto seed = *rc::gen::inRange<std::uint64_t>(0, 1000);
        const Slice elements = arbitrary(std::size_t{inputs} * outputs, seed);
        Matrix rows(outputs, inputs);
        for (std::uint32_t o = 0; o < outputs; ++o) {
            for (std::uint32_t i = 0; i < inputs; ++i) {
                rows.at(o, i) = std::to_integer<Element>(elements[o * inputs + i]);
            }
        }
        std::vector<Slice> in;
        std::vector<const std::byte*> from;
        std::vector<Slice> shifted;  // by a different distance each
        for (std::uint32_t i = 0; i < inputs; ++i) {
            in.push_back(arbitrary(length, seed + i));
            shifted.push_back(Slice(i * 7 % 64));
            shifted[i].insert(shifted[i].end(), in[i].begin(), in[i].end());
        }
        from.reserve(inputs);
        for (std::uint32_t i = 0; i < inputs; ++i) from.push_back(shifted[i].data() + i * 7 % 64);
        for (const Kernel kernel : supported_kernels()) {
            std::vector<Slice> out(outputs, Slice(length, std::byte{0xEE}));
            Combination(rows, kernel).apply(from, write_pointers(&out), length);
            RC_ASSERT(out == by_definition(rows, in, length));
        }
    });
}

TEST(Kernels, AgreeOnLongSlices) {
    for (const Profile profile : kProfiles) {
        for (const std::size_t length : kLengths) {
            const std::vector<Slice> want = encoded(Codec(profile, Kernel::kPortable), length);
            for (const Kernel kernel : supported_kernels()) {
                ASSERT_EQ(encoded(Codec(profile, kernel), length), want)
                    << profile.k << "+" << profile.m << " " << length << " " << to_string(kernel);
            }
        }
    }
}

// Memory that begins and ends at pages nobody may touch.
class Guarded {
  public:
    explicit Guarded(std::size_t length)
        : page_(static_cast<std::size_t>(::getpagesize())),
          span_((length / page_ + 1) * page_),
          length_(length),
          map_(static_cast<std::byte*>(
              ::mmap(nullptr, span_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
        HAMSTER_ASSERT(map_ != MAP_FAILED);
        HAMSTER_ASSERT(::mprotect(map_ + page_, span_, PROT_READ | PROT_WRITE) == 0);
    }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    ~Guarded() { ::munmap(map_, span_ + 2 * page_); }
    [[nodiscard]] std::byte* at_begin() const { return map_ + page_; }
    [[nodiscard]] std::byte* at_end() const { return map_ + page_ + span_ - length_; }

  private:
    std::size_t page_;
    std::size_t span_;
    std::size_t length_;
    std::byte* map_;
};

TEST(Kernels, TouchNothingOutsideTheSlices) {
    for (const std::size_t length : {1UL, 7UL, 31UL, 33UL, 63UL, 65UL, 255UL, 300UL, 4097UL}) {
        std::array<std::unique_ptr<Guarded>, 6> memory;
        for (auto& each : memory) each = std::make_unique<Guarded>(length);
        for (const auto place : {&Guarded::at_begin, &Guarded::at_end}) {
            const auto at = [&](std::size_t i) { return ((*memory[i]).*place)(); };
            const std::array<const std::byte*, 4> in{at(0), at(1), at(2), at(3)};
            const std::array<std::byte*, 2> out{at(4), at(5)};
            for (const Kernel kernel : supported_kernels()) {
                std::ranges::fill(memory[4]->at_begin(), memory[4]->at_end() + length,
                                  std::byte{0xEE});
                Codec({4, 2}, kernel).encode(in, out, length);
                // Inside the page, around the slice.
                const bool at_begin = out[0] == memory[4]->at_begin();
                EXPECT_EQ(at_begin ? out[0][length] : out[0][-1], std::byte{0xEE})
                    << length << " " << to_string(kernel);
            }
        }
    }
}

// ---- misuse
// --------------------------------------------------------------------------------------

TEST(CodecDeathTest, Profiles) {
    EXPECT_DEATH(Codec(Profile{0, 1}), "is_valid\\(profile\\)");
    EXPECT_DEATH(Codec(Profile{30, 3}), "is_valid\\(profile\\)");
}

TEST(CodecDeathTest, WrongSlices) {
    const Codec codec({2, 1});
    Slice memory(64);
    const std::byte* data[] = {memory.data(), memory.data() + 10};
    std::byte* parity[] = {memory.data() + 20};
    codec.encode(data, parity, 10);
    EXPECT_DEATH(codec.encode(std::span(data).first(1), parity, 10), "in.size\\(\\) == inputs_");
    EXPECT_DEATH(codec.encode(data, {}, 10), "out.size\\(\\) == outputs_");
    EXPECT_DEATH(codec.encode(data, parity, 11), "overlap");
    data[1] = nullptr;
    EXPECT_DEATH(codec.encode(data, parity, 10), "in\\[i\\] != nullptr");
    codec.encode(data, parity, 0);
    data[1] = data[0];  // reading twice is no harm
    codec.encode(data, parity, 10);
    parity[0] = nullptr;
    EXPECT_DEATH(codec.encode(data, parity, 10), "out\\[o\\] != nullptr");
}

TEST(CodecDeathTest, OutputsOverlap) {
    const Codec codec({1, 2});
    Slice memory(64);
    const std::byte* data[] = {memory.data()};
    std::byte* parity[] = {memory.data() + 10, memory.data() + 19};
    EXPECT_DEATH(codec.encode(data, parity, 10), "overlap\\(out\\[o\\], out\\[p\\]");
}

TEST(CodecDeathTest, WrongPlans) {
    const Codec codec({2, 1});
    EXPECT_DEATH(std::ignore = codec.plan({0, 1}, {3}), "& ~all");
    EXPECT_DEATH(std::ignore = codec.plan({0, 1, 3}, {2}), "& ~all");
    EXPECT_DEATH(std::ignore = codec.plan({0, 1}, {1}), "present.bits\\(\\) & wanted.bits");
    EXPECT_DEATH(Slots{32}, "slot < kMaxSlots");
    const auto plan = codec.plan({0, 1}, {2});
    Slice memory(64);
    const std::byte* slices[] = {memory.data(), memory.data() + 10, nullptr};
    std::byte* out[] = {nullptr, nullptr, memory.data() + 20};
    plan->run(slices, out, 10);
    EXPECT_DEATH(plan->run(std::span(slices).first(2), out, 10), "slices.size\\(\\)");
    out[2] = nullptr;
    EXPECT_DEATH(plan->run(slices, out, 10), "out\\[o\\] != nullptr");
}

}  // namespace
}  // namespace hamster::erasure
