#include "model.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace hamster::simulation {

namespace {

// More explanations than this are not worth the time: the key is given up, and the run says so.
constexpr std::size_t kMaxWorlds = 20'000;
constexpr std::size_t kMaxEvents = 60;

std::string_view text_of(Told told) {
    switch (told) {
        case Told::kDone:
            return "done";
        case Told::kPreconditionFailed:
            return "precondition failed";
        case Told::kNotFound:
            return "not found";
    }
    return "";
}

}  // namespace

VersionNumber Model::add_version(VersionFacts facts) {
    versions_.push_back(std::move(facts));
    return static_cast<VersionNumber>(versions_.size() - 1);
}

void Model::learn(VersionNumber number, const std::string& etag) {
    VersionFacts& copy = versions_.at(number);
    if (copy.content) {
        if (copy.etag != etag) {
            report_->violation("I5", fmt::format("version {} of '{}' has ETag {}, not {}", number,
                                                 copy.key, etag, copy.etag));
        }
        return;
    }
    constexpr int kMostCopiesOfCopies = 8;
    if (const VersionFacts* source = find_etag(copy.copied_from, etag, kMostCopiesOfCopies)) {
        copy.content = source->content;
        copy.etag = etag;
        copy.multipart = source->multipart;
        return;
    }
    report_->violation("I5", fmt::format("the copy {} of '{}' has ETag {}, which its source '{}' "
                                         "never had",
                                         number, copy.key, etag, copy.copied_from));
}

const VersionFacts* Model::find_etag(const std::string& key, const std::string& etag,
                                     int depth) const {
    for (const VersionFacts& version : versions_) {
        if (version.key != key) continue;
        if (version.content && version.etag == etag) return &version;
        if (version.content || depth == 0) continue;
        const VersionFacts* found = find_etag(version.copied_from, etag, depth - 1);
        if (found != nullptr) return found;
    }
    return nullptr;
}

void Model::settle_content(VersionNumber number, Content content, std::string etag) {
    versions_.at(number).content = std::move(content);
    versions_.at(number).etag = std::move(etag);
}

void Model::note(const std::string& key, std::string event) {
    auto& events = registers_[key].events;
    if (events.size() == kMaxEvents) events.erase(events.begin());
    events.push_back(std::move(event));
}

OpId Model::begin(const std::string& key, Intent intent) {
    const OpId op = next_op_++;
    names_.insert(key);
    Register& reg = registers_[key];
    std::set<World> worlds;
    for (World world : reg.worlds) {
        world.witnessed[op] = {world.state};
        worlds.insert(std::move(world));
    }
    reg.worlds = std::move(worlds);
    reg.pending.insert(op);
    note(key, fmt::format("#{} begins: {}", op, intent.text));
    ops_[op] = Op{key, std::move(intent)};
    return op;
}

bool Model::may_apply(const Intent& intent, const State& state) const {
    if (intent.if_absent && !state.absent()) return false;
    if (!intent.if_match.empty()) {
        // A conditional DELETE of what is not there succeeds, as in S3.
        if (state.absent()) return intent.change == Change::kDelete;
        const std::string& etag = versions_[state.version].etag;
        if (!etag.empty() && etag != intent.if_match) return false;
    }
    return intent.change != Change::kTag || !state.absent();
}

bool Model::may_fail(const Intent& intent, const State& state, Told told) const {
    if (told == Told::kNotFound) {
        return state.absent() && (!intent.if_match.empty() || intent.change == Change::kTag);
    }
    if (intent.if_absent) return !state.absent();
    if (intent.if_match.empty() || state.absent()) return false;
    const std::string& etag = versions_[state.version].etag;
    return etag.empty() || etag != intent.if_match;
}

std::optional<Model::World> Model::applied(const World& world, OpId op) const {
    const Op& what = ops_.at(op);
    if (what.ended || what.intent.change == Change::kNothing || world.done.contains(op) ||
        !may_apply(what.intent, world.state)) {
        return std::nullopt;
    }
    World after = world;
    switch (what.intent.change) {
        case Change::kPut:
            after.state = what.intent.value;
            break;
        case Change::kDelete:
            after.state = State{};
            break;
        case Change::kTag:
            after.state.tag = what.intent.value.tag;
            break;
        case Change::kNothing:
            break;
    }
    after.done.insert(op);
    for (auto& [pending, states] : after.witnessed) {
        if (!ops_.at(pending).ended) states.insert(after.state);
    }
    return after;
}

void Model::explain(const Register& reg, const World& world, OpId op, Told told, const Saw& saw,
                    std::set<World>& seen, std::set<World>& out) const {
    if (seen.size() > kMaxWorlds || !seen.insert(world).second) return;
    const Op& what = ops_.at(op);
    if (what.intent.change != Change::kNothing && told == Told::kDone) {
        if (world.done.contains(op)) {
            out.insert(world);
            return;
        }
        if (auto after = applied(world, op)) out.insert(std::move(*after));
    } else if (!world.done.contains(op)) {
        for (const State& state : world.witnessed.at(op)) {
            const bool fits = what.intent.change == Change::kNothing
                                  ? saw(state)
                                  : may_fail(what.intent, state, told);
            if (!fits) continue;
            out.insert(world);
            break;
        }
    }
    for (const OpId other : reg.pending) {
        if (other == op) continue;
        if (auto after = applied(world, other)) explain(reg, *after, op, told, saw, seen, out);
    }
}

void Model::end(OpId op, Told told, const Saw& saw) {
    const Op what = ops_.at(op);
    Register& reg = registers_.at(what.key);
    note(what.key, fmt::format("#{} ends: {}", op, text_of(told)));
    std::set<World> seen;
    std::set<World> out;
    for (const World& world : reg.worlds) explain(reg, world, op, told, saw, seen, out);
    if (seen.size() > kMaxWorlds) {
        report_->reached("model.too-many-worlds");
    } else if (out.empty()) {
        std::string states;
        for (const World& world : reg.worlds) {
            states += fmt::format(" v{}/t{}", world.state.version, world.state.tag);
        }
        report_->violation(
            "I3",
            fmt::format("'{}': the answer to #{} ({}: {}) fits no order of what happened\n"
                        "  possible before it:{}\n{}",
                        what.key, op, what.intent.text, text_of(told), states, history(what.key)));
    } else {
        reg.worlds = std::move(out);
    }
    forget(reg, op);
}

void Model::forget(Register& reg, OpId op) {
    std::set<World> worlds;
    for (World world : reg.worlds) {
        world.done.erase(op);
        world.witnessed.erase(op);
        worlds.insert(std::move(world));
    }
    reg.worlds = std::move(worlds);
    reg.pending.erase(op);
    ops_.erase(op);
}

void Model::repeat(OpId op) {
    Op& what = ops_.at(op);
    what.ended = false;
    Register& reg = registers_.at(what.key);
    std::set<World> worlds;
    for (World world : reg.worlds) {
        world.witnessed[op].insert(world.state);
        worlds.insert(std::move(world));
    }
    reg.worlds = std::move(worlds);
    note(what.key, fmt::format("#{} is sent again", op));
}

void Model::refused(OpId op) {
    const std::string key = ops_.at(op).key;
    Register& reg = registers_.at(key);
    note(key, fmt::format("#{} was refused", op));
    // Explanations that needed it are wrong.
    std::set<World> worlds;
    for (const World& world : reg.worlds) {
        if (!world.done.contains(op)) worlds.insert(world);
    }
    if (worlds.empty()) {
        report_->violation("I2", fmt::format("'{}': #{} was refused, but had an effect\n{}", key,
                                             op, history(key)));
    } else {
        reg.worlds = std::move(worlds);
    }
    forget(reg, op);
}

void Model::unknown(OpId op) {
    Op& what = ops_.at(op);
    note(what.key, fmt::format("#{}: no answer", op));
    if (what.ended || what.intent.change == Change::kNothing) {
        const std::string key = what.key;
        forget(registers_.at(key), op);
        return;
    }
    what.unknown = true;
}

// Every way in which pending operations may have taken effect.
void Model::expand(Register& reg) const {
    std::vector<World> work(reg.worlds.begin(), reg.worlds.end());
    while (!work.empty() && reg.worlds.size() <= kMaxWorlds) {
        const World world = std::move(work.back());
        work.pop_back();
        for (const OpId op : reg.pending) {
            auto after = applied(world, op);
            if (after && reg.worlds.insert(*after).second) work.push_back(std::move(*after));
        }
    }
}

void Model::incarnation_ended() {
    for (auto& [key, reg] : registers_) {
        if (reg.pending.empty()) continue;
        note(key, "the node's incarnation ended");
        expand(reg);
        const std::set<OpId> pending = reg.pending;
        for (const OpId op : pending) {
            ops_.at(op).ended = true;
            if (ops_.at(op).unknown) forget(reg, op);
        }
    }
}

std::set<State> Model::possible(const std::string& key) const {
    std::set<State> out;
    const auto found = registers_.find(key);
    if (found == registers_.end()) return {State{}};
    for (const World& world : found->second.worlds) {
        out.insert(world.state);
        for (const OpId op : found->second.pending) {
            if (auto after = applied(world, op)) out.insert(after->state);
        }
    }
    return out;
}

std::string Model::history(const std::string& key) const {
    std::string out;
    const auto found = registers_.find(key);
    if (found == registers_.end()) return out;
    for (const std::string& event : found->second.events) out += "    " + event + "\n";
    return out;
}

Model::Saw Model::is_version(VersionNumber number) const {
    return [number](const State& state) { return state.version == number; };
}

Model::Saw Model::has_etag(std::string etag, std::uint64_t size) const {
    return [this, etag = std::move(etag), size](const State& state) {
        if (state.absent()) return false;
        const VersionFacts& facts = versions_[state.version];
        if (!facts.content) return true;  // a copy of which nothing is known yet
        return facts.etag == etag && size_of(*facts.content) == size;
    };
}

}  // namespace hamster::simulation
