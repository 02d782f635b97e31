#include "runtime/sim/disk_state.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace hamster::runtime::sim {

namespace {

constexpr std::int64_t kSlowestUs = 10'000'000;

void apply_entry(Node::Entries& entries, const std::string& name, const NodePtr& target) {
    if (target == nullptr) {
        entries.erase(name);
    } else {
        entries.insert_or_assign(name, target);
    }
}

// Walks one kind of entries (cached or durable) along a path; "" is the root.
Result<NodePtr> walk(NodePtr node, std::string_view path, Node::Entries Node::* entries) {
    std::string_view rest = path;
    while (!rest.empty()) {
        const auto slash = rest.find('/');
        const std::string_view name = rest.substr(0, slash);
        rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
        HAMSTER_ASSERT(!name.empty() && name != "." && name != "..", path);
        if (!node->is_directory) return fail(Code::kNotFound, std::string(path));
        const auto& names = (*node).*entries;
        const auto found = names.find(name);
        if (found == names.end()) return fail(Code::kNotFound, std::string(path));
        node = found->second;
    }
    return node;
}

}  // namespace

DiskState::DiskState(Scheduler* scheduler, std::string name)
    : scheduler_(scheduler), name_(std::move(name)), root_(std::make_shared<Node>(true)) {
    nodes_.push_back(root_);
}

Result<NodePtr> DiskState::find(std::string_view path) const {
    return walk(root_, path, &Node::cached);
}

Result<NodePtr> DiskState::find_durable(std::string_view path) const {
    return walk(root_, path, &Node::durable);
}

Result<DiskState::Place> DiskState::locate(std::string_view path) const {
    const auto slash = path.rfind('/');
    const bool nested = slash != std::string_view::npos;
    const std::string_view name = nested ? path.substr(slash + 1) : path;
    HAMSTER_ASSERT(!name.empty() && name != "." && name != "..", path);
    TRY_ASSIGN(NodePtr directory, find(nested ? path.substr(0, slash) : std::string_view()));
    if (!directory->is_directory) return fail(Code::kNotFound, std::string(path));
    return Place{std::move(directory), std::string(name)};
}

Result<NodePtr> DiskState::find_or_null(std::string_view path) const {
    TRY_ASSIGN(const Place place, locate(path));
    const auto found = place.directory->cached.find(place.name);
    return found == place.directory->cached.end() ? nullptr : found->second;
}

void DiskState::change_tree(std::vector<EntryChange> entries) {
    for (const auto& entry : entries) {
        apply_entry(entry.directory->cached, entry.name, entry.target);
    }
    changes_.push_back(TreeChange{next_change_++, std::move(entries)});
}

Result<NodePtr> DiskState::create(std::string_view path, bool directory) {
    TRY_ASSIGN(Place place, locate(path));
    HAMSTER_ASSERT(!place.directory->cached.contains(place.name), path);
    auto node = std::make_shared<Node>(directory);
    node->links = 1;
    nodes_.push_back(node);
    change_tree({{std::move(place.directory), std::move(place.name), node}});
    return node;
}

void DiskState::unlink(const NodePtr& node) {
    HAMSTER_ASSERT(node->links > 0);
    if (--node->links == 0 && node->opens == 0) used_pages_ -= node->file.cached().mapped_pages();
}

void DiskState::closed(Node& node) {
    HAMSTER_ASSERT(node.opens > 0);
    if (--node.opens == 0 && node.links == 0) used_pages_ -= node.file.cached().mapped_pages();
}

Result<void> DiskState::remove(std::string_view path) {
    TRY_ASSIGN(Place place, locate(path));
    const auto found = place.directory->cached.find(place.name);
    if (found == place.directory->cached.end()) return fail(Code::kNotFound, std::string(path));
    const NodePtr node = found->second;
    if (node->is_directory && !node->cached.empty()) {
        return fail(Code::kConflict, std::string(path) + " is not empty");
    }
    change_tree({{std::move(place.directory), std::move(place.name), nullptr}});
    unlink(node);
    return {};
}

Result<void> DiskState::rename(std::string_view from, std::string_view to) {
    TRY_ASSIGN(Place source, locate(from));
    TRY_ASSIGN(Place target, locate(to));
    const auto found = source.directory->cached.find(source.name);
    if (found == source.directory->cached.end()) return fail(Code::kNotFound, std::string(from));
    const NodePtr node = found->second;
    const auto at_target = target.directory->cached.find(target.name);
    NodePtr replaced;
    if (at_target != target.directory->cached.end()) replaced = at_target->second;
    if (replaced == node) return {};
    if (replaced != nullptr && (replaced->is_directory || node->is_directory)) {
        return fail(Code::kConflict, std::string(to) + " exists");
    }
    change_tree({{std::move(source.directory), std::move(source.name), nullptr},
                 {std::move(target.directory), std::move(target.name), node}});
    if (replaced != nullptr) unlink(replaced);
    return {};
}

std::list<DiskState::TreeChange> DiskState::take_changes(const NodePtr& directory,
                                                         std::uint64_t mark) {
    std::list<TreeChange> taken;
    for (auto at = changes_.begin(); at != changes_.end();) {
        const auto next = std::next(at);
        const bool concerned = std::ranges::any_of(
            at->entries, [&](const EntryChange& entry) { return entry.directory == directory; });
        if (at->number < mark && concerned) taken.splice(taken.end(), changes_, at);
        at = next;
    }
    return taken;
}

void DiskState::finish_sync(const NodePtr& directory, std::uint64_t mark) {
    for (const auto& change : take_changes(directory, mark)) {
        for (const auto& entry : change.entries) {
            apply_entry(entry.directory->durable, entry.name, entry.target);
        }
    }
}

void DiskState::fail_sync(const NodePtr& directory, std::uint64_t mark) {
    take_changes(directory, mark);
}

std::uint64_t DiskState::free_pages() const {
    const std::uint64_t capacity = faults_.capacity_bytes / kPage;
    return capacity > used_pages_ ? capacity - used_pages_ : 0;
}

bool DiskState::boundary() {
    ++boundaries_;
    if (crash_after_ != 0 && --crash_after_ == 0) crash_due_ = true;
    return crash_due_;
}

void DiskState::disarm() {
    crash_after_ = 0;
    crash_due_ = false;
}

void DiskState::recount(Node& node) {
    if (!node.is_directory) {
        if (node.links++ == 0) used_pages_ += node.file.cached().mapped_pages();
        return;
    }
    ++node.links;
    node.cached = node.durable;
    for (const auto& [name, child] : node.cached) {
        recount(*child);
    }
}

void DiskState::crash() {
    disarm();
    ++epoch_;
    for (const auto& change : changes_) {
        if (random().below(2) == 0) continue;
        for (const auto& entry : change.entries) {
            apply_entry(entry.directory->durable, entry.name, entry.target);
        }
    }
    changes_.clear();
    std::erase_if(nodes_, [](const auto& node) { return node.expired(); });
    for (const auto& held : nodes_) {
        const NodePtr node = held.lock();
        if (node == nullptr) continue;
        node->cached.clear();
        node->links = 0;
        node->opens = 0;
        if (!node->is_directory) node->file.crash(random());
    }
    used_pages_ = 0;
    recount(*root_);
    halted_.wake_all();  // frames of others; those of the dead incarnation are gone
}

Micros DiskState::delay(std::int64_t low_us, std::int64_t high_us) {
    if (draw(faults_.slow_ppm)) high_us = kSlowestUs;
    return Micros(low_us + static_cast<std::int64_t>(
                               random().below(static_cast<std::uint64_t>(high_us - low_us + 1))));
}

void DiskState::trace(std::string_view operation, std::uint64_t a, std::uint64_t b) {
    scheduler_->trace(mix_text(mix64(a) ^ b, operation));
}

void DiskState::erase_everywhere(const std::string& path) {
    const auto place = locate(path);
    HAMSTER_ASSERT(place.has_value(), path);
    const auto found = place->directory->cached.find(place->name);
    HAMSTER_ASSERT(found != place->directory->cached.end(), path);
    const NodePtr node = found->second;
    place->directory->cached.erase(found);
    place->directory->durable.erase(place->name);
    for (auto& change : changes_) {
        std::erase_if(change.entries, [&](const EntryChange& entry) {
            return entry.directory == place->directory && entry.name == place->name;
        });
    }
    unlink(node);
}

void DiskState::empty() {
    HAMSTER_ASSERT(changes_.empty(), changes_.size());
    root_ = std::make_shared<Node>(true);
    nodes_.assign(1, root_);
    used_pages_ = 0;
}

}  // namespace hamster::runtime::sim
