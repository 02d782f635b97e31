#include "runtime/real/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <utility>

#include "base/assert.h"
#include "runtime/real/file.h"
#include "runtime/real/os.h"

namespace hamster::runtime::real {

namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirMode = 0700;

// The data directory; shared with operations in flight. All calls block; any thread.
struct Root {
    Root(std::string at, Fd opened) : path(std::move(at)), fd(std::move(opened)) {}

    Result<std::shared_ptr<OpenFile>> open(const std::string& name, Disk::Mode mode) const;
    Result<void> remove(const std::string& name) const;
    Result<void> rename(const std::string& from, const std::string& to) const;
    Result<void> make_dir(const std::string& name) const;
    Result<void> sync_dir(const std::string& name) const;
    Result<std::vector<std::string>> list(const std::string& name) const;
    Result<Fd> open_dir(const std::string& name) const;

    const std::string path;
    const Fd fd;
};

Result<Fd> open_at(const Root& root, const std::string& name, int flags) {
    Fd fd(
        retry([&] { return ::openat(root.fd.get(), name.c_str(), flags | O_CLOEXEC, kFileMode); }));
    if (!fd) return os_error(errno, "open " + name);
    return fd;
}

Result<std::shared_ptr<OpenFile>> Root::open(const std::string& name, Disk::Mode mode) const {
    const bool writable = mode != Disk::Mode::kRead;
    const int flags = (writable ? O_RDWR : O_RDONLY) | (mode == Disk::Mode::kCreate ? O_CREAT : 0);
    TRY_ASSIGN(Fd buffered, open_at(*this, name, flags));
    Fd direct;
    if (writable) {
        // EINVAL: no O_DIRECT here (tmpfs, some overlays). Anything else shows up later, too.
        auto opened = open_at(*this, name, O_WRONLY | O_DIRECT);
        if (opened) direct = std::move(*opened);
    }
    return std::make_shared<OpenFile>(name, std::move(buffered), std::move(direct));
}

Result<void> Root::remove(const std::string& name) const {
    if (::unlinkat(fd.get(), name.c_str(), 0) == 0) return {};
    if (errno == EISDIR && ::unlinkat(fd.get(), name.c_str(), AT_REMOVEDIR) == 0) return {};
    return os_error(errno, "remove " + name);
}

Result<void> Root::rename(const std::string& from, const std::string& to) const {
    if (::renameat(fd.get(), from.c_str(), fd.get(), to.c_str()) == 0) return {};
    return os_error(errno, "rename " + from + " to " + to);
}

Result<void> Root::make_dir(const std::string& name) const {
    for (std::size_t end = 0; end != std::string::npos && !name.empty();) {
        end = name.find('/', end + 1);
        const std::string part = name.substr(0, end);
        if (::mkdirat(fd.get(), part.c_str(), kDirMode) != 0 && errno != EEXIST) {
            return os_error(errno, "make directory " + part);
        }
    }
    if (!open_dir(name)) return fail(Code::kAlreadyExists, name + " is not a directory");
    return {};
}

Result<Fd> Root::open_dir(const std::string& name) const {
    return open_at(*this, name.empty() ? "." : name, O_RDONLY | O_DIRECTORY);
}

Result<void> Root::sync_dir(const std::string& name) const {
    TRY_ASSIGN(const Fd directory, open_dir(name));
    if (::fsync(directory.get()) != 0) return os_error(errno, "sync directory " + name);
    return {};
}

Result<std::vector<std::string>> Root::list(const std::string& name) const {
    TRY_ASSIGN(const Fd directory, open_dir(name));
    // fdopendir() takes its descriptor over.
    DIR* const stream = ::fdopendir(::dup(directory.get()));
    if (stream == nullptr) return os_error(errno, "list " + name);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
        const std::string_view found = entry->d_name;
        if (found != "." && found != "..") names.emplace_back(found);
    }
    const int error = errno;
    ::closedir(stream);
    if (error != 0) return os_error(error, "list " + name);
    std::ranges::sort(names);
    return names;
}

using RootPtr = std::shared_ptr<Root>;

Task<Result<std::unique_ptr<File>>> open_file(RootPtr root, BlockingPool* pool, std::string path,
                                              Disk::Mode mode) {
    auto open = [root, path, mode] { return root->open(path, mode); };
    auto opened = co_await run_blocking(pool, std::move(open));
    CO_TRY_ASSIGN(auto file, std::move(opened));
    co_return make_file(std::move(file), pool);
}

class RealDisk final : public Disk {
  public:
    RealDisk(RootPtr root, BlockingPool* pool) : root_(std::move(root)), pool_(pool) {}

    Task<Result<std::unique_ptr<File>>> open(std::string path, Mode mode) override {
        return open_file(root_, pool_, std::move(path), mode);
    }
    Task<Result<void>> remove(std::string path) override {
        return run_blocking(pool_, [root = root_, path] { return root->remove(path); });
    }
    Task<Result<void>> rename(std::string from, std::string to) override {
        return run_blocking(pool_, [root = root_, from, to] { return root->rename(from, to); });
    }
    Task<Result<void>> make_dir(std::string path) override {
        return run_blocking(pool_, [root = root_, path] { return root->make_dir(path); });
    }
    Task<Result<void>> sync_dir(std::string path) override {
        return run_blocking(pool_, [root = root_, path] { return root->sync_dir(path); });
    }
    Task<Result<std::vector<std::string>>> list(std::string path) override {
        return run_blocking(pool_, [root = root_, path] { return root->list(path); });
    }
    Result<void> lock(std::string path) override;
    Result<DiskSpace> space() override;
    std::string real_path(std::string_view path) override {
        return path.empty() ? root_->path : root_->path + "/" + std::string(path);
    }

  private:
    RootPtr root_;
    BlockingPool* pool_;
    std::mutex mutex_;
    std::map<std::string, Fd> locks_;  // by path; guarded by mutex_
};

Result<void> RealDisk::lock(std::string path) {
    const std::lock_guard guard(mutex_);
    if (locks_.contains(path)) return {};
    TRY_ASSIGN(Fd fd, open_at(*root_, path, O_RDWR | O_CREAT));
    if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
        if (errno == EWOULDBLOCK) return fail(Code::kConflict, real_path(path) + " is locked");
        return os_error(errno, "lock " + path);
    }
    locks_.emplace(std::move(path), std::move(fd));
    return {};
}

Result<DiskSpace> RealDisk::space() {
    struct statvfs status{};
    if (::fstatvfs(root_->fd.get(), &status) != 0) return os_error(errno, "statvfs");
    return DiskSpace{status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize};
}

Result<void> make_root(const std::string& root) {
    for (std::size_t end = 0; end != std::string::npos;) {
        end = root.find('/', end + 1);
        const std::string part = root.substr(0, end);
        if (::mkdir(part.c_str(), kDirMode) != 0) {
            if (errno == EEXIST) continue;
            return os_error(errno, "make directory " + part);
        }
        const Fd parent(::open((part + "/..").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!parent || ::fsync(parent.get()) != 0) return os_error(errno, "sync " + part + "/..");
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Disk>> open_disk(std::string root, bool create, BlockingPool* pool) {
    HAMSTER_ASSERT(!root.empty());
    while (root.size() > 1 && root.ends_with('/')) {
        root.pop_back();
    }
    if (create) {
        TRY(make_root(root));
    }
    Fd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return os_error(errno, "data directory " + root);
    // Absolute, whatever becomes of the working directory.
    char* const absolute = ::realpath(root.c_str(), nullptr);
    if (absolute == nullptr) return os_error(errno, "data directory " + root);
    std::string path(absolute);
    std::free(absolute);
    return std::make_unique<RealDisk>(std::make_shared<Root>(std::move(path), std::move(fd)), pool);
}

}  // namespace hamster::runtime::real
