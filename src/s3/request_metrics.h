// Counters of the front door. Registered once per loop, then bumped without locks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/metrics.h"
#include "s3/action.h"

namespace hamster::s3 {

class RequestMetrics {
  public:
    explicit RequestMetrics(base::Metrics* metrics);

    // `action` nullopt: refused before it had one.
    void finished(std::optional<Action> action, int status, std::uint64_t duration_us,
                  std::uint64_t bytes_in, std::uint64_t bytes_out);
    // Shared by all loops of the node, so their values bound the whole node.
    base::Gauge& in_flight() { return in_flight_; }
    base::Gauge& connections() { return connections_; }

  private:
    struct PerStatus {
        int status;
        base::Counter* requests;
    };
    struct PerAction {
        base::Histogram* duration = nullptr;
        std::vector<PerStatus> statuses;  // few; found by a linear scan
    };
    static std::string_view name_of(std::size_t index);
    base::Counter& requests(PerAction& row, std::size_t index, int status);

    base::Metrics* metrics_;
    base::Gauge& in_flight_;
    base::Gauge& connections_;
    base::Counter& bytes_in_;
    base::Counter& bytes_out_;
    std::array<PerAction, kActionCount + 1> rows_;
};

}  // namespace hamster::s3
