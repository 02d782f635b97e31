#include "objects/site.h"

#include <algorithm>

namespace hamster::objects {

namespace {
constexpr std::uint64_t kStopCheckMs = 200;  // how late stop() may be noticed
}

runtime::Task<bool> Site::pause(std::uint64_t ms) const {
    while (ms > 0 && !is_stopping()) {
        const std::uint64_t nap = std::min(ms, kStopCheckMs);
        co_await control->clock.sleep(runtime::Micros(static_cast<std::int64_t>(nap * 1000)));
        ms -= nap;
    }
    co_return !is_stopping();
}

bool Site::is_up(const base::NodeId& node) const {
    return is_self(node) || (options->remote != nullptr && options->remote->is_up(node));
}

bool Site::is_shared() const { return options->remote != nullptr && options->remote->has_others(); }

bool Site::is_read(const base::BlobId& blob) const {
    return pins->is_pinned(blob) || (is_shared() && kept->is_kept(blob, control->clock.now()));
}

}  // namespace hamster::objects
