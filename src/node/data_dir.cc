#include "node/data_dir.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/hash.h"
#include "cluster/trust.h"

namespace hamster::node {

using runtime::Task;

namespace {

constexpr std::string_view kTitle = "hamster data directory";
constexpr std::size_t kMaxFormatBytes = 4096;

std::string checksum_of(std::string_view text) {
    return fmt::format("{:016x}", base::xxh3_64(base::as_bytes(text)));
}

Error damaged(std::string_view what) {
    return {Code::kCorrupt,
            fmt::format("{} is damaged ({}): restore it from a backup of this directory; "
                        "the data beside it has not been touched",
                        kFormatFile, what)};
}

// The value of "name: value" lines; nullopt when absent.
std::optional<std::string_view> line_value(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        if (line.starts_with(name) && line.substr(name.size()).starts_with(": ")) {
            return line.substr(name.size() + 2);
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return std::nullopt;
}

bool is_ours(std::string_view name) {
    constexpr std::array kOurs{kFoundingFile,
                               kSecretFile,
                               kLockFile,
                               kMetaDir,
                               kShardsDir,
                               cluster::kNodeKeyFile,
                               cluster::kNodeCertificateFile,
                               cluster::kCaFile,
                               cluster::kAcquaintancesFile};
    return std::ranges::find(kOurs, name) != kOurs.end() || name.ends_with(".tmp");
}

// What may lie in a directory that counts as empty: the first steps of an interrupted init, too.
bool is_nothing(std::string_view name) {
    return name == kLockFile || name == "lost+found" || name == "hamster.founding.tmp";
}

Result<void> take_lock(runtime::Disk* disk) {
    auto locked = disk->lock(std::string(kLockFile));
    if (!locked && locked.error().code == Code::kConflict) {
        return fail(Code::kConflict,
                    "another hamster process is already using this data directory (it holds the "
                    "lock): stop that one first");
    }
    return locked;
}

Task<Result<std::vector<std::string>>> names_in(runtime::Disk* disk) {
    auto names = co_await disk->list("");
    if (!names && names.error().code == Code::kNotFound) co_return std::vector<std::string>{};
    co_return names;
}

bool holds(const std::vector<std::string>& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

// Why a directory without an identity cannot be served.
Error not_a_node(const std::vector<std::string>& names) {
    if (holds(names, kFoundingFile)) {
        return {Code::kNotFound,
                "the initialisation of this data directory was interrupted: run `hamster init` (or "
                "join) with the same -data-dir again, it goes on where it stopped"};
    }
    const bool is_empty = std::ranges::all_of(names, is_nothing);
    if (is_empty) {
        return {Code::kNotFound,
                "this data directory is not initialised: run `hamster init` with the same "
                "-data-dir first"};
    }
    if (holds(names, kMetaDir) || holds(names, kShardsDir)) return damaged("it is missing");
    return {Code::kInvalid,
            fmt::format("this directory holds files that are not hamster's ({}): choose another "
                        "-data-dir, and run `hamster init` on it",
                        names.front())};
}

}  // namespace

std::string format_identity(const Identity& identity) {
    const std::string text =
        fmt::format("{}\nformat: {}\ncluster: {}\nnode: {}\ncreated: {}\n{}", kTitle, kFormat,
                    identity.cluster.hex(), identity.node.hex(), base::iso8601(identity.created_ms),
                    identity.is_newcomer ? "joined: yes\n" : "");
    return text + fmt::format("checksum: {}\n", checksum_of(text));
}

Result<Identity> parse_identity(std::string_view text) {
    const std::size_t at = text.rfind("checksum: ");
    if (at == std::string_view::npos) return std::unexpected(damaged("no checksum"));
    const std::string_view covered = text.substr(0, at);
    if (text.substr(at) != fmt::format("checksum: {}\n", checksum_of(covered))) {
        return std::unexpected(damaged("wrong checksum"));
    }
    if (!covered.starts_with(kTitle)) return std::unexpected(damaged("wrong title"));
    const auto format = base::parse_u64(line_value(covered, "format").value_or(""));
    if (!format || *format == 0) return std::unexpected(damaged("no format version"));
    if (*format > kFormat) {
        return fail(
            Code::kUnsupported,
            fmt::format("this data directory has format {}, written by a newer hamster; this "
                        "one reads up to {}: use the newer binary",
                        *format, kFormat));
    }
    const auto cluster = base::ClusterId::from_hex(line_value(covered, "cluster").value_or(""));
    const auto node = base::NodeId::from_hex(line_value(covered, "node").value_or(""));
    const auto created = base::parse_iso8601(line_value(covered, "created").value_or(""));
    if (!cluster || !node || !created) return std::unexpected(damaged("a line is missing"));
    return Identity{*cluster, *node, *created, line_value(covered, "joined") == "yes"};
}

Task<Result<Identity>> claim_data_dir(runtime::Disk* disk) {
    auto listed = co_await names_in(disk);
    CO_TRY_ASSIGN(const std::vector<std::string> names, listed);
    // Nothing is written, not even a lock, where there is no node.
    if (!holds(names, kFormatFile)) co_return std::unexpected(not_a_node(names));
    CO_TRY(take_lock(disk));
    auto text = co_await runtime::read_file(disk, std::string(kFormatFile), kMaxFormatBytes);
    if (!text && text.error().code == Code::kTooLarge)
        co_return std::unexpected(damaged("too long"));
    CO_TRY_ASSIGN(const std::string content, text);
    CO_TRY_ASSIGN(const Identity identity, parse_identity(content));
    for (const std::string_view needed : {kSecretFile, kMetaDir, kShardsDir}) {
        if (!holds(names, needed)) {
            co_return fail(Code::kCorrupt,
                           fmt::format("{} is missing from the data directory: restore it from a "
                                       "backup; nothing has been changed",
                                       needed));
        }
    }
    co_return identity;
}

namespace {

// Takes the lock of a directory that is empty or half-made; answers what is in it.
Task<Result<std::vector<std::string>>> claim_empty(runtime::Disk* disk) {
    auto listed = co_await names_in(disk);
    CO_TRY_ASSIGN(const std::vector<std::string> names, listed);
    if (holds(names, kFormatFile)) {
        co_return fail(Code::kAlreadyExists,
                       "this data directory is initialised already and not empty: start it with "
                       "`hamster serve`");
    }
    for (const std::string& name : names) {
        if (is_nothing(name) || (is_ours(name) && holds(names, kFoundingFile))) continue;
        co_return fail(
            Code::kAlreadyExists,
            fmt::format("the directory is not empty (it holds {}): choose an empty or new "
                        "one; nothing has been changed",
                        name));
    }
    auto made = co_await disk->make_dir("");
    CO_TRY(made);
    CO_TRY(take_lock(disk));
    co_return names;
}

// The identity that an interrupted start chose, or `fresh`, noted.
Task<Result<Identity>> begin(runtime::Disk* disk, Identity fresh) {
    auto claimed = co_await claim_empty(disk);
    CO_TRY_ASSIGN(const std::vector<std::string> names, claimed);
    if (holds(names, kFoundingFile)) {
        auto text = co_await runtime::read_file(disk, std::string(kFoundingFile), kMaxFormatBytes);
        CO_TRY_ASSIGN(const std::string content, text);
        co_return parse_identity(content);
    }
    auto written =
        co_await runtime::write_file(disk, std::string(kFoundingFile), format_identity(fresh));
    CO_TRY(written);
    co_return fresh;
}

}  // namespace

Task<Result<Identity>> begin_init(runtime::World* world) {
    const Identity fresh{world->random.id<base::ClusterId>(), world->random.id<base::NodeId>(),
                         world->clock.unix_ms()};
    auto begun = co_await begin(&world->disk, fresh);
    if (begun && begun->is_newcomer) {
        co_return fail(Code::kAlreadyExists,
                       "in this data directory joining a cluster was interrupted: go on with "
                       "`hamster join`, or choose an empty one");
    }
    co_return begun;
}

Task<Result<Identity>> begin_join(runtime::World* world, base::ClusterId cluster) {
    const Identity fresh{cluster, world->random.id<base::NodeId>(), world->clock.unix_ms(), true};
    auto begun = co_await begin(&world->disk, fresh);
    if (begun && (!begun->is_newcomer || begun->cluster != cluster)) {
        co_return fail(Code::kAlreadyExists,
                       "in this data directory founding or joining another cluster was "
                       "interrupted: choose an empty one");
    }
    co_return begun;
}

Task<Result<void>> finish_init(runtime::Disk* disk) {
    auto renamed = co_await disk->rename(std::string(kFoundingFile), std::string(kFormatFile));
    CO_TRY(renamed);
    auto synced = co_await disk->sync_dir("");
    co_return synced;
}

}  // namespace hamster::node
