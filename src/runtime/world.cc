#include "runtime/world.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace hamster::runtime {

std::uint64_t Random::below(std::uint64_t bound) {
    HAMSTER_ASSERT(bound > 0);
    // Values under `skip` would make the low remainders likelier than the others.
    const std::uint64_t skip = (0 - bound) % bound;
    std::uint64_t value = next();
    while (value < skip) {
        value = next();
    }
    return value % bound;
}

void Random::fill(MutableBytes out) {
    while (!out.empty()) {
        const std::uint64_t word = next();
        const std::size_t n = std::min(out.size(), sizeof(word));
        std::memcpy(out.data(), &word, n);
        out = out.subspan(n);
    }
}

Task<Result<std::unique_ptr<Stream>>> Network::connect_tls(TlsTarget target, Time deadline) {
    (void)target;
    (void)deadline;
    co_return fail(Code::kUnsupported, "this network has no TLS");
}

Result<std::unique_ptr<Listener>> Network::listen_nodes(std::string address,
                                                        std::shared_ptr<const NodeTls> tls) {
    (void)address;
    (void)tls;
    return fail(Code::kUnsupported, "this network knows no nodes");
}

Task<Result<std::unique_ptr<Stream>>> Network::connect_node(std::string address,
                                                            std::shared_ptr<const NodeTls> tls,
                                                            Time deadline) {
    (void)address;
    (void)tls;
    (void)deadline;
    co_return fail(Code::kUnsupported, "this network knows no nodes");
}

Task<Result<std::string>> read_file(Disk* disk, std::string path, std::size_t limit) {
    auto opened = co_await disk->open(path, Disk::Mode::kRead);
    CO_TRY_ASSIGN(auto file, std::move(opened));
    CO_TRY_ASSIGN(const std::uint64_t size, file->size());
    if (size > limit) co_return fail(Code::kTooLarge, path + " is larger than expected");
    std::string content(size, '\0');
    auto read = co_await file->read(
        0, MutableBytes(reinterpret_cast<std::byte*>(content.data()), content.size()));
    CO_TRY_ASSIGN(const std::size_t n, std::move(read));
    content.resize(n);
    co_return content;
}

namespace {

// "" for a name in the data directory itself.
std::string parent_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

Task<Result<void>> write_temporary(Disk* disk, std::string path, std::string content) {
    auto opened = co_await disk->open(path, Disk::Mode::kCreate);
    CO_TRY_ASSIGN(auto file, std::move(opened));
    auto cleared = co_await file->truncate(0);  // a leftover of a crash
    CO_TRY(std::move(cleared));
    std::vector<Bytes> pieces{base::as_bytes(content)};
    auto written = co_await file->write(0, std::move(pieces));
    CO_TRY(std::move(written));
    auto synced = co_await file->sync();
    co_return synced;
}

}  // namespace

Task<Result<void>> write_file(Disk* disk, std::string path, std::string content) {
    const std::string temporary = path + ".tmp";
    auto written = co_await write_temporary(disk, temporary, std::move(content));
    if (!written) {
        auto removed = co_await disk->remove(temporary);
        (void)removed;  // the next attempt overwrites it
        co_return written;
    }
    auto renamed = co_await disk->rename(temporary, path);
    CO_TRY(std::move(renamed));
    auto synced = co_await disk->sync_dir(parent_of(path));
    co_return synced;
}

}  // namespace hamster::runtime
