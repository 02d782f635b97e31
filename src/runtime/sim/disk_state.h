// The disk of one simulated machine: its directory tree, what of it is durable, its space, its
// faults. Survives crashes of the machine. The fault model is in disk.h.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/prng.h"
#include "runtime/sim/file_state.h"
#include "runtime/sim/scheduler.h"
#include "runtime/sim/simulator.h"

namespace hamster::runtime::sim {

struct Node {
    explicit Node(bool directory) : is_directory(directory) {}

    const bool is_directory;
    using Entries = std::map<std::string, std::shared_ptr<Node>, std::less<>>;
    Entries cached;           // directories
    Entries durable;          // directories
    FileState file;           // files
    std::uint32_t links = 0;  // names in cached directories
    std::uint32_t opens = 0;  // handles of the running incarnation
};
using NodePtr = std::shared_ptr<Node>;

class DiskState {
  public:
    DiskState(Scheduler* scheduler, std::string name);

    // --- the tree, as the running incarnation sees it
    [[nodiscard]] Result<NodePtr> find(std::string_view path) const;
    // Null when absent; kNotFound when the parent is.
    [[nodiscard]] Result<NodePtr> find_or_null(std::string_view path) const;
    Result<NodePtr> create(std::string_view path, bool directory);
    Result<void> remove(std::string_view path);
    Result<void> rename(std::string_view from, std::string_view to);
    void opened(Node& node) { ++node.opens; }
    void closed(Node& node);

    // Directory changes issued before the mark become durable, or never will.
    [[nodiscard]] std::uint64_t sync_mark() const { return next_change_; }
    void finish_sync(const NodePtr& directory, std::uint64_t mark);
    void fail_sync(const NodePtr& directory, std::uint64_t mark);

    // --- space: pages mapped by files that have a name or are open
    [[nodiscard]] std::uint64_t used_bytes() const { return used_pages_ * kPage; }
    [[nodiscard]] std::uint64_t free_pages() const;
    // To be called around each change of a file: accounts for the difference.
    template <class Change>
    void account(Node& node, Change change) {
        const std::uint64_t before = node.file.cached().mapped_pages();
        change();
        used_pages_ += node.file.cached().mapped_pages() - before;
    }

    // --- crashes and faults
    // Passes an I/O boundary. True: the machine ends here; the caller must wait on halted().
    bool boundary();
    [[nodiscard]] WaiterList& halted() { return halted_; }
    [[nodiscard]] bool crash_due() const { return crash_due_; }
    void arm(std::uint64_t n) { crash_after_ = n; }
    void disarm();
    [[nodiscard]] std::uint64_t boundaries() const { return boundaries_; }
    void boot() { boundaries_ = 0; }
    void crash();
    // Changes with each crash: handles of an older epoch are dead.
    [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

    [[nodiscard]] const DiskFaults& faults() const { return faults_; }
    void set_faults(const DiskFaults& faults) { faults_ = faults; }
    bool draw(std::uint32_t ppm) { return ppm != 0 && random().below(1'000'000) < ppm; }
    // How long an operation takes: between low and high, or far longer when the disk is slow.
    Micros delay(std::int64_t low_us, std::int64_t high_us);
    Random& random() { return scheduler_->random(); }
    Task<void> sleep(Micros duration) { return scheduler_->sleep(duration); }
    void trace(std::string_view operation, std::uint64_t a, std::uint64_t b);

    [[nodiscard]] Result<NodePtr> find_durable(std::string_view path) const;
    void erase_everywhere(const std::string& path);
    // Nothing is left of it, as after the disk was replaced. Only between incarnations.
    void empty();

  private:
    struct EntryChange {
        NodePtr directory;
        std::string name;
        NodePtr target;  // null: the name goes
    };
    // Entry changes that survive or vanish together (a rename is two).
    struct TreeChange {
        std::uint64_t number;
        std::vector<EntryChange> entries;
    };
    struct Place {
        NodePtr directory;
        std::string name;
    };
    [[nodiscard]] Result<Place> locate(std::string_view path) const;
    void change_tree(std::vector<EntryChange> entries);
    void unlink(const NodePtr& node);
    std::list<TreeChange> take_changes(const NodePtr& directory, std::uint64_t mark);
    void recount(Node& node);

    Scheduler* scheduler_;
    std::string name_;
    NodePtr root_;
    std::list<TreeChange> changes_;
    std::uint64_t next_change_ = 1;
    // In order of creation, so that a crash draws in a fixed order.
    std::vector<std::weak_ptr<Node>> nodes_;
    std::uint64_t used_pages_ = 0;
    DiskFaults faults_;
    std::uint64_t boundaries_ = 0;
    std::uint64_t crash_after_ = 0;  // 0: not armed
    bool crash_due_ = false;
    std::uint64_t epoch_ = 0;
    WaiterList halted_;
};

}  // namespace hamster::runtime::sim
