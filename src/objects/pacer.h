// Spreads work over time, so many bytes a second, and slower while clients are served. First come,
// first served: each taker gets the time behind the one before. Control loop.
#pragma once

#include <cstdint>

#include "objects/site.h"

namespace hamster::objects {

class Pacer {
  public:
    // While clients are served this share of the rate is left: one part in so many.
    static constexpr std::uint64_t kBusyShare = 4;
    // Time that was not used counts for so much at most.
    static constexpr runtime::Micros kBurst = std::chrono::milliseconds(50);

    // `yields`: slows down while clients are served.
    Pacer(const Site* site, bool yields) : site_(site), yields_(yields) {}

    // Waits until so many bytes may be moved at `bytes_per_s`, at least 1; or until the node stops.
    runtime::Task<void> take(std::uint64_t bytes, std::uint64_t bytes_per_s);

  private:
    const Site* site_;
    const bool yields_;
    runtime::Time free_at_{INT64_MIN / 2};
};

}  // namespace hamster::objects
