#include "runtime/sim/disk.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"

namespace hamster::runtime::sim {

namespace {

std::unexpected<Error> halted() { return fail(Code::kIo, "the machine has crashed"); }

// What an operation in flight shares with its handle: an operation may outlive the handle when
// its caller does not belong to the machine.
struct Handle {
    Handle(std::shared_ptr<DiskState> on, NodePtr of, bool may_write)
        : disk(std::move(on)), node(std::move(of)), epoch(disk->epoch()), writable(may_write) {
        disk->opened(*node);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
        if (alive()) disk->closed(*node);
    }
    [[nodiscard]] bool alive() const { return disk->epoch() == epoch; }

    std::shared_ptr<DiskState> disk;
    NodePtr node;
    std::uint64_t epoch;
    bool writable;
};
using HandlePtr = std::shared_ptr<Handle>;

FileChange make_write(std::uint64_t offset, const std::vector<Bytes>& pieces) {
    FileChange change{.kind = FileChange::Kind::kWrite, .offset = offset, .length = 0, .data = {}};
    for (const Bytes piece : pieces) {
        change.data += base::as_text(piece);
    }
    change.length = change.data.size();
    return change;
}

// How much of a write fits, in whole pages from its start, when not all of it does.
void cut_to_fit(const Handle& handle, FileChange& change) {
    std::uint64_t fits = 0;
    while (fits < change.length) {
        const std::uint64_t next =
            std::min(change.length, (change.offset + fits) / kPage * kPage + kPage - change.offset);
        if (handle.node->file.cached().missing_pages(change.offset, next) >
            handle.disk->free_pages()) {
            break;
        }
        fits = next;
    }
    change.data.resize(fits);
    change.length = fits;
}

bool fits(const Handle& handle, const FileChange& change) {
    return handle.node->file.cached().missing_pages(change.offset, change.length) <=
           handle.disk->free_pages();
}

void apply(const Handle& handle, FileChange change) {
    handle.disk->account(*handle.node, [&] { handle.node->file.apply(std::move(change)); });
}

// A full disk: nothing, or what fits, was written to the cache.
std::unexpected<Error> no_space(const Handle& handle, FileChange change) {
    if (handle.disk->random().below(2) == 0) {
        cut_to_fit(handle, change);
        if (change.length != 0) apply(handle, std::move(change));
    }
    handle.disk->trace("no space", 0, 0);
    return fail(Code::kNoSpace, "the disk is full");
}

void check_aligned(std::uint64_t offset, const std::vector<Bytes>& pieces) {
    HAMSTER_ASSERT(offset % base::kBlock == 0, offset);
    for (const Bytes piece : pieces) {
        HAMSTER_ASSERT(piece.size() % base::kBlock == 0, piece.size());
        HAMSTER_ASSERT(reinterpret_cast<std::uintptr_t>(piece.data()) % base::kBlock == 0);
    }
}

// The caller must not touch its memory while a durable write is in flight: a device may read it
// at any time.
void check_unchanged(const std::string& before, const std::vector<Bytes>& pieces) {
    std::string_view rest = before;
    for (const Bytes piece : pieces) {
        HAMSTER_ASSERT(rest.substr(0, piece.size()) == base::as_text(piece));
        rest.remove_prefix(piece.size());
    }
}

// One change of the cache with its two boundaries.
Task<Result<void>> change_file(HandlePtr handle, FileChange change, const char* what) {
    DiskState& disk = *handle->disk;
    HAMSTER_ASSERT(handle->writable);
    if (disk.boundary()) co_await disk.halted().wait();
    if (!handle->alive()) co_return halted();
    const bool needs_space = change.kind == FileChange::Kind::kWrite ||
                             change.kind == FileChange::Kind::kReserve ||
                             change.kind == FileChange::Kind::kZero;
    disk.trace(what, change.offset, change.length);
    if (disk.draw(disk.faults().write_eio_ppm)) {
        co_return fail(Code::kIo, "simulated write error");
    }
    if (needs_space && !fits(*handle, change)) {
        if (change.kind == FileChange::Kind::kWrite) co_return no_space(*handle, std::move(change));
        co_return fail(Code::kNoSpace, "the disk is full");
    }
    apply(*handle, std::move(change));
    co_await disk.sleep(disk.delay(1, 20));
    if (handle->alive() && disk.boundary()) co_await disk.halted().wait();
    if (!handle->alive()) co_return halted();
    co_return Result<void>();
}

Task<Result<void>> write_through(HandlePtr handle, std::uint64_t offset,
                                 std::vector<Bytes> pieces) {
    DiskState& disk = *handle->disk;
    FileState& file = handle->node->file;
    HAMSTER_ASSERT(handle->writable);
    check_aligned(offset, pieces);
    if (disk.boundary()) co_await disk.halted().wait();
    if (!handle->alive()) co_return halted();
    FileChange change = make_write(offset, pieces);
    const std::uint64_t length = change.length;
    disk.trace("write_durable", offset, base::xxh3_64(base::as_bytes(change.data), length));
    if (!fits(*handle, change)) co_return no_space(*handle, std::move(change));
    const std::string content = change.data;
    const ChangeNumber number = file.begin_durable(std::move(change));
    co_await disk.sleep(disk.delay(20, 400));
    if (handle->alive() && disk.boundary()) co_await disk.halted().wait();
    if (!handle->alive()) co_return halted();
    check_unchanged(content, pieces);
    const std::uint32_t eio_ppm = disk.faults().write_eio_ppm + disk.faults().sync_eio_ppm;
    if (disk.draw(eio_ppm)) {
        disk.trace("write_durable failed", offset, length);
        disk.account(*handle->node, [&] { file.fail_durable(number, disk.random()); });
        co_return fail(Code::kIo, "simulated write error");
    }
    disk.account(*handle->node, [&] { file.finish_durable(number); });
    if (disk.boundary()) co_await disk.halted().wait();
    if (!handle->alive()) co_return halted();
    co_return Result<void>();
}

Task<Result<void>> sync_file(HandlePtr handle) {
    DiskState& disk = *handle->disk;
    FileState& file = handle->node->file;
    if (disk.boundary()) co_await disk.halted().wait();
    if (!handle->alive()) co_return halted();
    const ChangeNumber mark = file.sync_mark();
    co_await disk.sleep(disk.delay(50, 1000));
    if (handle->alive() && disk.boundary()) co_await disk.halted().wait();
    if (!handle->alive()) co_return halted();
    const bool failed = disk.draw(disk.faults().sync_eio_ppm);
    disk.trace("sync", mark, failed ? 1 : 0);
    if (failed) {
        file.fail_sync(mark);
        co_return fail(Code::kIo, "simulated sync error");
    }
    file.finish_sync(mark);
    if (disk.boundary()) co_await disk.halted().wait();
    if (!handle->alive()) co_return halted();
    co_return Result<void>();
}

Task<Result<std::size_t>> read_file_at(HandlePtr handle, std::uint64_t offset, MutableBytes out) {
    DiskState& disk = *handle->disk;
    if (!handle->alive()) co_return halted();
    co_await disk.sleep(disk.delay(2, 200));
    if (!handle->alive()) co_return halted();
    if (disk.draw(disk.faults().read_eio_ppm)) {
        disk.trace("read failed", offset, out.size());
        co_return fail(Code::kIo, "simulated read error");
    }
    FileState& file = handle->node->file;
    const std::uint64_t size = file.cached().size();
    const std::uint64_t length =
        offset < size ? std::min<std::uint64_t>(out.size(), size - offset) : 0;
    if (length > 0 && disk.draw(disk.faults().bit_rot_ppm)) {
        const std::uint64_t bit = offset * 8 + disk.random().below(length * 8);
        disk.trace("bit rot", bit, 0);
        file.flip_bit(bit);
    }
    const std::size_t n = file.cached().read(offset, out);
    disk.trace("read", offset, n);
    co_return n;
}

class SimFile final : public File {
  public:
    explicit SimFile(HandlePtr handle) : handle_(std::move(handle)) {}

    Task<Result<std::size_t>> read(std::uint64_t offset, MutableBytes out) override {
        return read_file_at(handle_, offset, out);
    }
    Task<Result<void>> write_durable(std::uint64_t offset, std::vector<Bytes> pieces) override {
        return write_through(handle_, offset, std::move(pieces));
    }
    Task<Result<void>> write(std::uint64_t offset, std::vector<Bytes> pieces) override {
        return change_file(handle_, make_write(offset, pieces), "write");
    }
    Task<Result<void>> sync() override { return sync_file(handle_); }
    Task<Result<void>> allocate(std::uint64_t offset, std::uint64_t length, bool zeroed) override {
        const auto kind = zeroed ? FileChange::Kind::kZero : FileChange::Kind::kReserve;
        return change_file(handle_, {kind, offset, length, {}}, "allocate");
    }
    Task<Result<void>> punch(std::uint64_t offset, std::uint64_t length) override {
        return change_file(handle_, {FileChange::Kind::kPunch, offset, length, {}}, "punch");
    }
    Task<Result<void>> truncate(std::uint64_t size) override {
        return change_file(handle_, {FileChange::Kind::kTruncate, size, 0, {}}, "truncate");
    }
    Result<std::uint64_t> size() override {
        if (!handle_->alive()) return halted();
        return handle_->node->file.cached().size();
    }

  private:
    HandlePtr handle_;
};

using Tree = std::shared_ptr<DiskState>;

// The three kinds of change of the tree, each with its two boundaries.
template <class Change>
Task<Result<void>> change_tree(Tree disk, const char* what, Change change) {
    const std::uint64_t epoch = disk->epoch();
    if (disk->boundary()) co_await disk->halted().wait();
    if (disk->epoch() != epoch) co_return halted();
    Result<void> changed = change(*disk);
    disk->trace(what, changed.has_value() ? 1 : 0, 0);
    co_await disk->sleep(disk->delay(5, 50));
    if (disk->epoch() == epoch && disk->boundary()) co_await disk->halted().wait();
    if (disk->epoch() != epoch) co_return halted();
    co_return changed;
}

Result<void> make_dirs(DiskState& disk, const std::string& path) {
    for (std::size_t end = 0; end != std::string::npos && !path.empty();) {
        end = path.find('/', end + 1);
        const std::string_view part = std::string_view(path).substr(0, end);
        TRY_ASSIGN(const NodePtr there, disk.find_or_null(part));
        if (there == nullptr) {
            TRY(disk.create(part, true));
        } else if (!there->is_directory) {
            return fail(Code::kAlreadyExists, std::string(part) + " is not a directory");
        }
    }
    return {};
}

Task<Result<std::unique_ptr<File>>> open_file(Tree disk, std::string path, Disk::Mode mode) {
    const std::uint64_t epoch = disk->epoch();
    auto found = disk->find_or_null(path);
    CO_TRY_ASSIGN(NodePtr node, std::move(found));
    if (node == nullptr) {
        if (mode != Disk::Mode::kCreate) co_return fail(Code::kNotFound, path);
        auto created = co_await change_tree(disk, "create", [path](DiskState& on) -> Result<void> {
            // Another opener may have been faster.
            TRY_ASSIGN(const NodePtr there, on.find_or_null(path));
            if (there == nullptr) {
                TRY(on.create(path, false));
            }
            return {};
        });
        CO_TRY(std::move(created));
    } else {
        co_await disk->sleep(disk->delay(2, 30));
    }
    if (disk->epoch() != epoch) co_return halted();
    CO_TRY_ASSIGN(node, disk->find(path));
    if (node->is_directory) co_return fail(Code::kInvalid, path + " is a directory");
    auto handle = std::make_shared<Handle>(disk, node, mode != Disk::Mode::kRead);
    co_return std::make_unique<SimFile>(std::move(handle));
}

Task<Result<void>> sync_tree(Tree disk, std::string path) {
    const std::uint64_t epoch = disk->epoch();
    if (disk->boundary()) co_await disk->halted().wait();
    if (disk->epoch() != epoch) co_return halted();
    CO_TRY_ASSIGN(const NodePtr node, disk->find(path));
    const std::uint64_t mark = disk->sync_mark();
    co_await disk->sleep(disk->delay(50, 1000));
    if (disk->epoch() == epoch && disk->boundary()) co_await disk->halted().wait();
    if (disk->epoch() != epoch) co_return halted();
    const bool failed = disk->draw(disk->faults().sync_eio_ppm);
    disk->trace("sync_dir", mark, failed ? 1 : 0);
    if (failed) {
        disk->fail_sync(node, mark);
        co_return fail(Code::kIo, "simulated sync error");
    }
    disk->finish_sync(node, mark);
    if (disk->boundary()) co_await disk->halted().wait();
    if (disk->epoch() != epoch) co_return halted();
    co_return Result<void>();
}

Task<Result<std::vector<std::string>>> list_names(Tree disk, std::string path) {
    co_await disk->sleep(disk->delay(2, 50));
    CO_TRY_ASSIGN(const NodePtr node, disk->find(path));
    if (!node->is_directory) co_return fail(Code::kNotFound, path + " is not a directory");
    std::vector<std::string> names;
    for (const auto& [name, child] : node->cached) {
        names.push_back(name);
    }
    co_return names;
}

class SimDisk final : public Disk {
  public:
    explicit SimDisk(Tree state) : state_(std::move(state)) {}

    Task<Result<std::unique_ptr<File>>> open(std::string path, Mode mode) override {
        return open_file(state_, std::move(path), mode);
    }
    Task<Result<void>> remove(std::string path) override {
        return change_tree(state_, "remove",
                           [path = std::move(path)](DiskState& disk) { return disk.remove(path); });
    }
    Task<Result<void>> rename(std::string from, std::string to) override {
        return change_tree(state_, "rename",
                           [from = std::move(from), to = std::move(to)](DiskState& disk) {
                               return disk.rename(from, to);
                           });
    }
    Task<Result<void>> make_dir(std::string path) override {
        return change_tree(state_, "make_dir", [path = std::move(path)](DiskState& disk) {
            return make_dirs(disk, path);
        });
    }
    Task<Result<void>> sync_dir(std::string path) override {
        return sync_tree(state_, std::move(path));
    }
    Task<Result<std::vector<std::string>>> list(std::string path) override {
        return list_names(state_, std::move(path));
    }
    Result<void> lock(std::string path) override {
        // One incarnation of a machine at a time: nobody else can have it.
        if (!locked_.insert(path).second) return {};
        TRY_ASSIGN(const NodePtr there, state_->find_or_null(path));
        if (there == nullptr) {
            TRY(state_->create(path, false));
        }
        return {};
    }
    Result<DiskSpace> space() override {
        return DiskSpace{state_->free_pages() * kPage, state_->faults().capacity_bytes};
    }
    std::string real_path(std::string_view) override { return {}; }

  private:
    Tree state_;
    std::set<std::string> locked_;
};

}  // namespace

std::unique_ptr<Disk> make_disk(std::shared_ptr<DiskState> state) {
    return std::make_unique<SimDisk>(std::move(state));
}

}  // namespace hamster::runtime::sim
