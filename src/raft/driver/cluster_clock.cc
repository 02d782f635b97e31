#include "raft/driver/cluster_clock.h"

#include <algorithm>

#include "base/assert.h"

namespace hamster::raft {
namespace {

// Until the year 10889.
constexpr std::uint64_t kMostMs = (1ULL << 48) - 1;

bool is_credible(std::uint64_t unix_ms) { return unix_ms > 0 && unix_ms <= kMostMs; }

}  // namespace

std::uint64_t ClusterClock::Heard::by(runtime::Time now) const {
    HAMSTER_ASSERT(now >= at, now.us, at.us);
    return unix_ms + static_cast<std::uint64_t>((now - at).count()) / 1000;
}

void ClusterClock::heard_leader(std::uint64_t unix_ms, runtime::Time now) {
    if (is_credible(unix_ms)) leader_ = Heard{unix_ms, now};
}

void ClusterClock::heard_follower(Term term, const NodeId& from, std::uint64_t unix_ms,
                                  runtime::Time now) {
    if (!is_credible(unix_ms)) return;
    if (term != term_) followers_.clear();
    term_ = term;
    followers_[from] = Heard{unix_ms, now};
}

std::vector<std::uint64_t> ClusterClock::known(const Asked& asked, const Members& members) const {
    std::vector<std::uint64_t> clocks;
    if (members.is_voter(asked.self)) clocks.push_back(asked.own_ms);
    if (asked.term != term_) return clocks;
    for (const auto& [id, heard] : followers_) {
        if (id != asked.self && members.is_voter(id)) clocks.push_back(heard.by(asked.now));
    }
    return clocks;
}

std::uint64_t ClusterClock::leading(const Asked& asked, const Members& members) const {
    std::vector<std::uint64_t> clocks = known(asked, members);
    const bool is_majority = 2 * clocks.size() > members.voters.size();
    if (clocks.empty() || (!is_majority && leader_)) return following(asked);
    std::ranges::sort(clocks);
    return clocks[(clocks.size() - 1) / 2];
}

std::uint64_t ClusterClock::following(const Asked& asked) const {
    return leader_ ? leader_->by(asked.now) : asked.own_ms;
}

bool ClusterClock::is_known(const Asked& asked, const Members& members, bool leads) const {
    if (!leads) return leader_.has_value();
    return 2 * known(asked, members).size() > members.voters.size();
}

}  // namespace hamster::raft
