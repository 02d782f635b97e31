// What a leader knows of one follower. Private to the core; exposed for status.
#pragma once

#include <cstdint>
#include <deque>

#include "base/ids.h"

namespace hamster::raft {

struct Progress {
    enum class State : std::uint8_t {
        kProbe,      // where the logs part is not known: one append at a time
        kReplicate,  // they agree: appends are sent ahead of their replies
        kSnapshot,   // the log does not reach back to it
    };
    State state = State::kProbe;
    base::LogIndex match;                  // durable there and equal to ours
    base::LogIndex next;                   // to be sent
    bool is_loading = false;               // a Send is with the driver
    bool waits_for_reply = false;          // kProbe: sent, not answered
    bool lags = false;                     // kReplicate: a heartbeat's reply lacked what was sent
    bool is_active = true;                 // heard since the last quorum check
    std::uint64_t ticks_since_heard = 0;   // or since this node began to lead it
    std::uint64_t round = 0;               // the latest one it confirmed
    std::deque<base::LogIndex> in_flight;  // last entries of appends under way

    void probe_from(base::LogIndex index) {
        state = State::kProbe;
        next = index;
        waits_for_reply = false;
        lags = false;
        in_flight.clear();
    }
};

}  // namespace hamster::raft
