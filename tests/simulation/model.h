// The reference model: what each key may hold, given what clients asked and were told.
//
// Each key is a register whose operations must be linearizable (I3), which contains: acknowledged
// writes are never lost (I1), unacknowledged ones happened whole or not at all (I2), deletes stay
// deleted (I7). The checker keeps every explanation ("world") that still fits: a state of the key
// and the pending operations that have taken effect in it. An answer removes the explanations it
// contradicts; when none is left, the history is not linearizable. An operation without an answer
// stays pending and may take effect at any time until the node's incarnation ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "content.h"
#include "report.h"

namespace hamster::simulation {

// Number of a version ever attempted, 0: the key is absent. Clients store it as user metadata.
using VersionNumber = std::uint32_t;

struct VersionFacts {
    std::string key;
    std::optional<Content> content;  // nullopt: a copy whose outcome is not known yet
    std::string etag;                // empty likewise
    std::string copied_from;         // key
    bool multipart = false;
};

struct State {
    VersionNumber version = 0;
    std::uint32_t tag = 0;
    auto operator<=>(const State&) const = default;
    [[nodiscard]] bool absent() const { return version == 0; }
};

enum class Change { kNothing, kPut, kDelete, kTag };

// One operation on one key.
struct Intent {
    Change change = Change::kNothing;
    State value;             // of a put; of a tag: its number
    bool if_absent = false;  // If-None-Match: *
    std::string if_match;    // an ETag
    std::string text;        // for the account
};

// What the client was told.
enum class Told { kDone, kPreconditionFailed, kNotFound };

using OpId = std::uint64_t;

class Model {
  public:
    explicit Model(Report* report) : report_(report) {}

    VersionNumber add_version(VersionFacts facts);
    [[nodiscard]] const VersionFacts& facts(VersionNumber number) const {
        return versions_.at(number);
    }
    [[nodiscard]] bool knows(VersionNumber number) const {
        return number > 0 && number < versions_.size();
    }
    // A copy said which bytes it holds: those of a version of its source with that ETag.
    void learn(VersionNumber number, const std::string& etag);
    // A multipart version gets its bytes when Complete names the parts.
    void settle_content(VersionNumber number, Content content, std::string etag);

    OpId begin(const std::string& key, Intent intent);
    // The answer. Reads pass what they saw as a test of states.
    using Saw = std::function<bool(const State&)>;
    void end(OpId op, Told told, const Saw& saw = {});
    // The same request is sent again: it may take effect in the present incarnation too.
    void repeat(OpId op);
    // No effect for sure (refused), or never sent.
    void refused(OpId op);
    // No answer came: it may have taken effect, or may still.
    void unknown(OpId op);
    // The process that worked on them is gone: nothing pending takes effect any more.
    void incarnation_ended();

    // States the key can be in, as seen by nobody yet. Sorted.
    [[nodiscard]] std::set<State> possible(const std::string& key) const;
    [[nodiscard]] const std::set<std::string>& keys() const { return names_; }
    // A version that the key may have held with that ETag, through unresolved copies too.
    [[nodiscard]] const VersionFacts* find_etag(const std::string& key, const std::string& etag,
                                                int depth) const;
    [[nodiscard]] std::string history(const std::string& key) const;
    // Tests of states.
    [[nodiscard]] Saw is_version(VersionNumber number) const;
    [[nodiscard]] Saw has_etag(std::string etag, std::uint64_t size) const;
    static bool is_absent(const State& state) { return state.absent(); }

  private:
    struct Op {
        std::string key;
        Intent intent;
        bool ended = false;    // takes effect no more
        bool unknown = false;  // nobody waits for its answer
    };
    // One explanation.
    struct World {
        State state;
        std::set<OpId> done;                        // pending operations that took effect
        std::map<OpId, std::set<State>> witnessed;  // states that held during a pending operation
        auto operator<=>(const World&) const = default;
    };
    struct Register {
        std::set<World> worlds{World{}};
        std::set<OpId> pending;
        std::vector<std::string> events;
    };

    // Whether the operation's conditions may hold, may fail, in a state.
    [[nodiscard]] bool may_apply(const Intent& intent, const State& state) const;
    [[nodiscard]] bool may_fail(const Intent& intent, const State& state, Told told) const;
    [[nodiscard]] std::optional<World> applied(const World& world, OpId op) const;
    // Worlds in which `op` was answered so, reached from `world` by letting pending ones happen.
    void explain(const Register& reg, const World& world, OpId op, Told told, const Saw& saw,
                 std::set<World>& seen, std::set<World>& out) const;
    void forget(Register& reg, OpId op);
    void expand(Register& reg) const;
    void note(const std::string& key, std::string event);

    Report* report_;
    std::vector<VersionFacts> versions_{VersionFacts{}};
    std::map<std::string, Register> registers_;
    std::set<std::string> names_;
    std::map<OpId, Op> ops_;
    OpId next_op_ = 1;
};

}  // namespace hamster::simulation
