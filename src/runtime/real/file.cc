#include "runtime/real/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "base/assert.h"

namespace hamster::runtime::real {

namespace {

// Zeros are written in pieces of this many bytes.
constexpr std::size_t kZeroPiece = 1024 * 1024;

constexpr off_t as_off(std::uint64_t n) { return static_cast<off_t>(n); }

std::vector<iovec> make_iovecs(const std::vector<Bytes>& pieces) {
    std::vector<iovec> out;
    out.reserve(pieces.size());
    for (const Bytes piece : pieces) {
        // writev only reads, but has no const in its type.
        if (!piece.empty()) out.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
    }
    return out;
}

// All pieces, whatever a single call takes: IOV_MAX, interruptions, short writes. 0 or an errno.
int write_fully(int fd, std::uint64_t offset, std::vector<iovec> left, int flags) {
    std::size_t first = 0;
    while (first < left.size()) {
        const auto count = std::min<std::size_t>(left.size() - first, IOV_MAX);
        const ssize_t n = retry([&] {
            return ::pwritev2(fd, &left[first], static_cast<int>(count), as_off(offset), flags);
        });
        if (n < 0) return errno;
        if (n == 0) return EIO;
        offset += static_cast<std::uint64_t>(n);
        auto written = static_cast<std::size_t>(n);
        while (first < left.size() && written >= left[first].iov_len) {
            written -= left[first++].iov_len;
        }
        if (written == 0) continue;
        left[first].iov_base = static_cast<std::byte*>(left[first].iov_base) + written;
        left[first].iov_len -= written;
    }
    return 0;
}

bool is_aligned(const std::vector<Bytes>& pieces) {
    return std::ranges::all_of(pieces, [](Bytes piece) {
        return piece.size() % base::kBlock == 0 &&
               reinterpret_cast<std::uintptr_t>(piece.data()) % base::kBlock == 0;
    });
}

// Through the page cache, then on stable storage. 0 or an errno.
int write_buffered_durably(int fd, std::uint64_t offset, const std::vector<Bytes>& pieces) {
    int error = write_fully(fd, offset, make_iovecs(pieces), RWF_DSYNC);
    if (error != EOPNOTSUPP) return error;
    error = write_fully(fd, offset, make_iovecs(pieces), 0);
    if (error != 0) return error;
    return ::fdatasync(fd) == 0 ? 0 : errno;
}

}  // namespace

Result<std::size_t> OpenFile::read(std::uint64_t offset, MutableBytes out) const {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t n = retry([&] {
            return ::pread(buffered.get(), out.data() + done, out.size() - done,
                           as_off(offset + done));
        });
        if (n < 0) return os_error(errno, "read " + path);
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

Result<void> OpenFile::write(std::uint64_t offset, const std::vector<Bytes>& pieces) const {
    const int error = write_fully(buffered.get(), offset, make_iovecs(pieces), 0);
    if (error != 0) return os_error(error, "write " + path);
    return {};
}

Result<void> OpenFile::write_durable(std::uint64_t offset, const std::vector<Bytes>& pieces) {
    HAMSTER_ASSERT(offset % base::kBlock == 0, offset);
    HAMSTER_ASSERT(is_aligned(pieces), path, offset);
    int error = EINVAL;
    if (use_direct.load(std::memory_order_relaxed)) {
        error = write_fully(direct.get(), offset, make_iovecs(pieces), RWF_DSYNC);
        // Some file systems take O_DIRECT at open and refuse it here.
        if (error == EINVAL || error == EOPNOTSUPP) use_direct = false;
    }
    if (error == EINVAL || error == EOPNOTSUPP) {
        error = write_buffered_durably(buffered.get(), offset, pieces);
    }
    if (error != 0) return os_error(error, "write " + path);
    return {};
}

Result<void> OpenFile::sync() const {
    if (::fdatasync(buffered.get()) != 0) return os_error(errno, "sync " + path);
    return {};
}

namespace {

Result<void> write_zeros(OpenFile& file, std::uint64_t offset, std::uint64_t length) {
    base::Buffer zeros(std::min<std::uint64_t>(length, kZeroPiece));
    zeros.resize(zeros.capacity());
    std::ranges::fill(zeros.writable(), std::byte{0});
    const bool direct = file.use_direct && offset % base::kBlock == 0 && length % base::kBlock == 0;
    const std::uint64_t end = offset + length;
    while (offset < end) {
        const std::size_t n = std::min<std::uint64_t>(end - offset, zeros.size());
        int error = EINVAL;
        if (direct) error = write_fully(file.direct.get(), offset, {{zeros.data(), n}}, 0);
        if (error == EINVAL) {
            error = write_fully(file.buffered.get(), offset, {{zeros.data(), n}}, 0);
        }
        if (error != 0) return os_error(error, "write " + file.path);
        offset += n;
    }
    return file.sync();
}

}  // namespace

Result<void> OpenFile::allocate(std::uint64_t offset, std::uint64_t length, bool zeroed) {
    if (length == 0) return {};
    const int result =
        retry([&] { return ::fallocate(buffered.get(), 0, as_off(offset), as_off(length)); });
    const int error = result == 0 ? 0 : errno;
    if (error != 0 && error != EOPNOTSUPP) return os_error(error, "allocate " + path);
    if (zeroed) return write_zeros(*this, offset, length);
    if (error == 0) return {};
    // Without fallocate only the part behind the end can be reserved without touching content.
    TRY_ASSIGN(const std::uint64_t now, size());
    const std::uint64_t from = std::max(offset, now);
    if (from >= offset + length) return {};
    return write_zeros(*this, from, offset + length - from);
}

Result<void> OpenFile::punch(std::uint64_t offset, std::uint64_t length) const {
    if (length == 0) return {};
    constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (retry([&] { return ::fallocate(buffered.get(), kMode, as_off(offset), as_off(length)); }) ==
        0) {
        return {};
    }
    if (errno != EOPNOTSUPP) return os_error(errno, "punch " + path);
    // The space stays taken, but the range reads as zeros as promised.
    TRY_ASSIGN(const std::uint64_t now, size());
    const std::vector<std::byte> zeros(std::min<std::uint64_t>(length, kZeroPiece));
    const std::uint64_t end = std::min(now, offset + length);
    while (offset < end) {
        const std::size_t n = std::min<std::uint64_t>(end - offset, zeros.size());
        TRY(write(offset, {Bytes(zeros).first(n)}));
        offset += n;
    }
    return {};
}

Result<void> OpenFile::truncate(std::uint64_t to) const {
    if (retry([&] { return ::ftruncate(buffered.get(), as_off(to)); }) != 0) {
        return os_error(errno, "truncate " + path);
    }
    return {};
}

Result<std::uint64_t> OpenFile::size() const {
    struct stat status{};
    if (::fstat(buffered.get(), &status) != 0) return os_error(errno, "stat " + path);
    return static_cast<std::uint64_t>(status.st_size);
}

namespace {

using FilePtr = std::shared_ptr<OpenFile>;

// What the page cache has is read at once; the rest waits on the pool.
Task<Result<std::size_t>> read_at(FilePtr file, BlockingPool* pool, std::uint64_t offset,
                                  MutableBytes out) {
    if (out.empty()) co_return std::size_t{0};
    iovec whole{out.data(), out.size()};
    const ssize_t n = ::preadv2(file->buffered.get(), &whole, 1, as_off(offset), RWF_NOWAIT);
    if (n == 0) co_return std::size_t{0};
    const std::size_t have = n > 0 ? static_cast<std::size_t>(n) : 0;
    if (have == out.size()) co_return have;
    auto read_rest = [file, offset, out, have] {
        return file->read(offset + have, out.subspan(have));
    };
    auto rest = co_await run_blocking(pool, std::move(read_rest));
    CO_TRY_ASSIGN(const std::size_t more, std::move(rest));
    co_return have + more;
}

class RealFile final : public File {
  public:
    RealFile(FilePtr file, BlockingPool* pool) : file_(std::move(file)), pool_(pool) {}

    Task<Result<std::size_t>> read(std::uint64_t offset, MutableBytes out) override {
        return read_at(file_, pool_, offset, out);
    }
    Task<Result<void>> write_durable(std::uint64_t offset, std::vector<Bytes> pieces) override {
        return run_blocking(pool_, [file = file_, offset, pieces = std::move(pieces)] {
            return file->write_durable(offset, pieces);
        });
    }
    Task<Result<void>> write(std::uint64_t offset, std::vector<Bytes> pieces) override {
        return run_blocking(pool_, [file = file_, offset, pieces = std::move(pieces)] {
            return file->write(offset, pieces);
        });
    }
    Task<Result<void>> sync() override {
        return run_blocking(pool_, [file = file_] { return file->sync(); });
    }
    Task<Result<void>> allocate(std::uint64_t offset, std::uint64_t length, bool zeroed) override {
        return run_blocking(pool_, [file = file_, offset, length, zeroed] {
            return file->allocate(offset, length, zeroed);
        });
    }
    Task<Result<void>> punch(std::uint64_t offset, std::uint64_t length) override {
        return run_blocking(pool_,
                            [file = file_, offset, length] { return file->punch(offset, length); });
    }
    Task<Result<void>> truncate(std::uint64_t size) override {
        return run_blocking(pool_, [file = file_, size] { return file->truncate(size); });
    }
    Result<std::uint64_t> size() override { return file_->size(); }

  private:
    FilePtr file_;
    BlockingPool* pool_;
};

}  // namespace

std::unique_ptr<File> make_file(std::shared_ptr<OpenFile> file, BlockingPool* pool) {
    return std::make_unique<RealFile>(std::move(file), pool);
}

}  // namespace hamster::runtime::real
