#include "objects/pacer.h"

#include <algorithm>

#include "base/assert.h"

namespace hamster::objects {

runtime::Task<void> Pacer::take(std::uint64_t bytes, std::uint64_t bytes_per_s) {
    HAMSTER_ASSERT(bytes_per_s > 0);
    if (yields_ && site_->is_busy())
        bytes_per_s = std::max<std::uint64_t>(1, bytes_per_s / kBusyShare);
    constexpr std::uint64_t kMicrosPerSecond = 1'000'000;
    HAMSTER_ASSERT(bytes <= UINT64_MAX / kMicrosPerSecond, bytes);
    const runtime::Micros span(static_cast<std::int64_t>(bytes * kMicrosPerSecond / bytes_per_s));
    const runtime::Time now = site_->now();
    const runtime::Time start = std::max(free_at_, now + -kBurst);
    free_at_ = start + span;
    if (start <= now) co_return;
    const std::uint64_t wait_us = static_cast<std::uint64_t>((start - now).count());
    (void)co_await site_->pause((wait_us + 999) / 1000);
}

}  // namespace hamster::objects
