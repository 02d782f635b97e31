#include "erasure/codec.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace hamster::erasure {
namespace {

Profile checked(Profile profile) {
    HAMSTER_ASSERT(is_valid(profile), profile.k, profile.m);
    return profile;
}

std::vector<std::uint32_t> parity_slots(Profile profile) {
    std::vector<std::uint32_t> slots;
    for (std::uint32_t slot = profile.k; slot < profile.width(); ++slot) slots.push_back(slot);
    return slots;
}

Slots lowest(Slots present, std::uint32_t n) {
    Slots slots;
    for (std::uint32_t slot = 0; slots.count() < n; ++slot) {
        if (present.has(slot)) slots.add(slot);
    }
    return slots;
}

}  // namespace

bool is_valid(Profile profile) {
    return profile.k >= 1 && profile.k <= kMaxSlots && profile.m <= kMaxSlots - profile.k;
}

std::vector<std::uint32_t> Slots::list() const {
    std::vector<std::uint32_t> slots;
    for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
        if (has(slot)) slots.push_back(slot);
    }
    return slots;
}

Plan::Plan(Profile profile, Slots sources, Slots wanted, Combination combination)
    : profile_(profile), sources_(sources), wanted_(wanted), combination_(std::move(combination)) {}

void Plan::run(std::span<const std::byte* const> slices, std::span<std::byte* const> out,
               std::size_t length) const {
    HAMSTER_ASSERT(slices.size() == profile_.width() && out.size() == profile_.width(),
                   slices.size(), out.size(), profile_.width());
    std::array<const std::byte*, kMaxSlots> from{};
    std::array<std::byte*, kMaxSlots> to{};
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    for (std::uint32_t slot = 0; slot < profile_.width(); ++slot) {
        if (sources_.has(slot)) from[inputs++] = slices[slot];
        if (wanted_.has(slot)) to[outputs++] = out[slot];
    }
    combination_.apply({from.data(), inputs}, {to.data(), outputs}, length);
}

Codec::Codec(Profile profile, Kernel kernel)
    : profile_(checked(profile)),
      kernel_(kernel),
      generator_(generator(profile.k, profile.m)),
      parity_(generator_.select(parity_slots(profile)), kernel) {}

void Codec::encode(std::span<const std::byte* const> data, std::span<std::byte* const> parity,
                   std::size_t length) const {
    parity_.apply(data, parity, length);
}

Result<Plan> Codec::plan(Slots present, Slots wanted) const {
    const std::uint32_t all = Slots::first(profile_.width()).bits();
    HAMSTER_ASSERT(((present.bits() | wanted.bits()) & ~all) == 0, present.bits(), wanted.bits(),
                   profile_.width());
    HAMSTER_ASSERT((present.bits() & wanted.bits()) == 0, present.bits(), wanted.bits());
    if (present.count() < profile_.k) {
        return fail(Code::kUnavailable, fmt::format("only {} of the {} slices needed are there",
                                                    present.count(), profile_.k));
    }
    // sources = selected rows * data, so data = their inverse * sources; then the wanted rows.
    const Slots sources = lowest(present, profile_.k);
    const Matrix decode = generator_.select(sources.list()).inverse();
    const Matrix rows = generator_.select(wanted.list()).times(decode);
    return Plan(profile_, sources, wanted, Combination(rows, kernel_));
}

}  // namespace hamster::erasure
