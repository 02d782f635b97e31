// What a run found: the first violation of an invariant, and the points it passed.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace hamster::simulation {

struct Violation {
    std::string invariant;  // of the table in docs/testing.md
    std::string account;    // readable
};

// One run. Checkers keep going after a violation; only the first counts.
class Report {
  public:
    void violation(std::string invariant, std::string account) {
        if (!first_) first_ = Violation{std::move(invariant), std::move(account)};
    }
    [[nodiscard]] bool failed() const { return first_.has_value(); }
    [[nodiscard]] const std::optional<Violation>& first() const { return first_; }

    void reached(std::string_view point) { points_.emplace(point); }
    [[nodiscard]] const std::set<std::string, std::less<>>& points() const { return points_; }

  private:
    std::optional<Violation> first_;
    std::set<std::string, std::less<>> points_;
};

}  // namespace hamster::simulation
