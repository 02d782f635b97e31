#include "meta/places.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/log.h"

namespace hamster::meta {

using runtime::Task;

namespace {

constexpr std::string_view kStore = "store";
constexpr std::string_view kInstalled = " installed";
constexpr std::size_t kMaxBytes = 256;

std::string file_of(const std::string& dir) { return dir + "/current"; }

std::string checksum_of(std::string_view text) {
    return fmt::format("{:016x}", base::xxh3_64(base::as_bytes(text)));
}

// The number of store, store-2, store-3 ...; 0: not the name of a store.
std::uint64_t number_of(std::string_view name) {
    if (name == kStore) return 1;
    if (!name.starts_with("store-")) return 0;
    return base::parse_u64(name.substr(6)).value_or(0);
}

Result<Place> parse_place(std::string_view text) {
    const Error damaged{Code::kCorrupt,
                        "the file that names the metadata store in use (current) is damaged: "
                        "restore the data directory as a whole from one backup, or rejoin with an "
                        "empty one"};
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !text.ends_with('\n')) return std::unexpected(damaged);
    const std::string_view line = text.substr(0, end);
    if (text.substr(end + 1) != checksum_of(line) + "\n") return std::unexpected(damaged);
    Place place;
    place.is_installed = line.ends_with(kInstalled);
    place.store = line.substr(0, line.size() - (place.is_installed ? kInstalled.size() : 0));
    if (number_of(place.store) == 0) return std::unexpected(damaged);
    return place;
}

Task<Result<std::vector<std::string>>> stores_in(runtime::Disk* disk, std::string dir) {
    auto names = co_await disk->list(dir);
    CO_TRY(names);
    std::erase_if(*names, [](const std::string& name) { return number_of(name) == 0; });
    co_return names;
}

}  // namespace

Task<Result<Place>> read_place(runtime::Disk* disk, std::string dir) {
    auto text = co_await runtime::read_file(disk, file_of(dir), kMaxBytes);
    if (!text && text.error().code == Code::kNotFound) co_return Place{};
    if (!text && text.error().code == Code::kTooLarge) co_return parse_place("");
    CO_TRY(text);
    co_return parse_place(*text);
}

Task<Result<void>> write_place(runtime::Disk* disk, std::string dir, Place place) {
    const std::string line = place.store + std::string(place.is_installed ? kInstalled : "");
    auto written =
        co_await runtime::write_file(disk, file_of(dir), line + "\n" + checksum_of(line) + "\n");
    co_return written;
}

Task<Result<std::string>> free_store_name(runtime::Disk* disk, std::string dir) {
    auto names = co_await stores_in(disk, dir);
    CO_TRY(names);
    std::uint64_t highest = 1;
    for (const std::string& name : *names) highest = std::max(highest, number_of(name));
    co_return fmt::format("store-{}", highest + 1);
}

Task<void> remove_other_stores(runtime::Disk* disk, std::string dir, std::string keep,
                               std::string also) {
    auto names = co_await stores_in(disk, dir);
    if (!names) co_return;
    for (const std::string& name : *names) {
        if (name == keep || name == also) continue;
        const std::string path = dir + "/" + name;
        auto files = co_await disk->list(path);
        if (!files) continue;
        for (const std::string& file : *files) {
            auto removed = co_await disk->remove(path + "/" + file);
            if (!removed) LOG_WARN("meta", "an old store stays: {}", removed.error().context);
        }
        auto gone = co_await disk->remove(path);
        (void)gone;  // an empty directory does no harm
    }
}

}  // namespace hamster::meta
