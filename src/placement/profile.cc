#include "placement/profile.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace hamster::placement {

namespace {

constexpr std::array<Profile, 5> kSupported{{{1, 0}, {1, 1}, {2, 1}, {3, 2}, {4, 2}}};

std::string supported_text() {
    std::string out;
    for (const Profile profile : kSupported) {
        out += (out.empty() ? "" : ", ") + to_string(profile);
    }
    return out;
}

}  // namespace

std::span<const Profile> supported_profiles() { return kSupported; }

bool is_supported(Profile profile) {
    return std::ranges::find(kSupported, profile) != kSupported.end();
}

Profile profile_for(std::size_t active_nodes) {
    HAMSTER_ASSERT(active_nodes >= 1);
    Profile widest = kSupported.front();
    for (const Profile profile : kSupported) {
        if (profile.width() <= active_nodes) widest = profile;
    }
    return widest;
}

Profile small_copies(Profile profile) { return {1, profile.m}; }

std::string to_string(Profile profile) { return fmt::format("{}+{}", profile.k, profile.m); }

Result<Profile> parse_profile(std::string_view text) {
    for (const Profile profile : kSupported) {
        if (to_string(profile) == text) return profile;
    }
    constexpr std::size_t kMostShown = 20;  // bytes of a wrong word in a message
    return fail(Code::kInvalid, fmt::format("'{}' is no storage profile: it must be one of {}",
                                            text.substr(0, kMostShown), supported_text()));
}

std::uint32_t efficiency_percent(Profile profile) {
    HAMSTER_ASSERT(erasure::is_valid(profile), profile.k, profile.m);
    const std::uint32_t width = profile.width();
    return (200 * profile.k + width) / (2 * width);
}

std::string losses_text(Profile profile) {
    if (profile.m == 0) return "no node";
    return fmt::format("any {} node{}", profile.m, profile.m == 1 ? "" : "s");
}

std::string describe(Profile profile) {
    return fmt::format("{}: {} % of the capacity is usable; objects survive the loss of {}",
                       to_string(profile), efficiency_percent(profile), losses_text(profile));
}

}  // namespace hamster::placement
