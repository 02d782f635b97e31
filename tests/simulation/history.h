// Records what clients ask and are told, for linearizability.h to judge. Every event gets a moment
// of its own, in the order in which they were recorded: simulated time, or a little later when
// several events share a microsecond. So the order of one client's requests is never lost.
// One loop; the simulator has only one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "linearizability.h"
#include "runtime/world.h"

namespace hamster::simulation {

class History {
  public:
    using Key = std::pair<std::string, std::string>;  // bucket, key
    using Token = std::size_t;

    // A tag for bytes that were not written before. Same bytes: same tag.
    Tag new_tag() { return next_tag_++; }

    // Before the request is sent. Of `asked`: client, kind, tag of a put, conditions.
    Token begin(std::string bucket, std::string key, Operation asked, runtime::Time now);
    // The answer; `saw`: what a get or head that is kOk answered. kUnknown: there was none, or one
    // that leaves open whether the request took effect. Each token ends once.
    void end(Token token, Outcome outcome, Tag saw, runtime::Time now);
    // The request was certainly refused or never arrived, and says nothing about the key:
    // forgotten.
    void refused(Token token);

    // Those that have not ended have no outcome.
    [[nodiscard]] std::map<Key, std::vector<Operation>> by_key() const;
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        Key key;
        Operation operation;
        bool is_open = true;
        bool is_refused = false;
    };
    std::int64_t moment(runtime::Time now);
    Entry& open_entry(Token token);

    std::vector<Entry> entries_;
    std::int64_t last_moment_us_ = 0;
    Tag next_tag_ = 1;
};

// What check_history() found about a history as a whole.
struct HistoryFinding {
    std::optional<History::Key> key;  // the first key, in order, that is a violation
    Finding finding;                  // about it
    std::size_t undecided = 0;        // keys whose search was given up
};
HistoryFinding check_history(const History& history, std::uint64_t max_states = kMaxSearchStates);

}  // namespace hamster::simulation
