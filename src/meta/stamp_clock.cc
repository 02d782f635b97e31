#include "meta/stamp_clock.h"

#include <algorithm>

namespace hamster::meta {

namespace {

constexpr std::int64_t kMicrosPerMs = 1000;

template <class T>
void raise(std::atomic<T>* value, T to) {
    T seen = value->load();
    while (seen < to && !value->compare_exchange_weak(seen, to)) {
    }
}

}  // namespace

void StampClock::note(std::uint64_t stamp_ms, runtime::Time now) {
    stamp_ms = std::min(stamp_ms, kMaxMs);
    const std::int64_t stamp_us = static_cast<std::int64_t>(stamp_ms) * kMicrosPerMs;
    raise(&last_ms_, stamp_ms);
    raise(&origin_, kOf * stamp_us - kSpeed * now.us);
}

std::uint64_t StampClock::at(runtime::Time now) const {
    const std::int64_t shown_ms = (origin_.load() + kSpeed * now.us) / kOf / kMicrosPerMs;
    const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(0, shown_ms));
    return std::max(last_ms_.load(), std::min(ms, kMaxMs));
}

}  // namespace hamster::meta
