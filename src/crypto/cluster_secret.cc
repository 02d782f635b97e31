#include "crypto/cluster_secret.h"

#include <openssl/crypto.h>

#include <optional>
#include <utility>

namespace hamster::crypto {
namespace {

Result<Key256> parse(const std::string& path, std::string content) {
    const std::optional<Key256> key = Key256::from_bytes(base::as_bytes(content));
    const std::size_t size = content.size();
    OPENSSL_cleanse(content.data(), content.size());
    if (key) return *key;
    return fail(Code::kCorrupt, path + " has " + std::to_string(size) +
                                    " bytes, but a cluster secret has 32; restore it from a "
                                    "backup or copy it from another node");
}

}  // namespace

runtime::Task<Result<Key256>> load_cluster_secret(runtime::Disk* disk, std::string path) {
    // Larger than any sane file, so that the message can tell its size.
    constexpr std::size_t kLimit = 64 * 1024;
    auto read = co_await runtime::read_file(disk, path, kLimit);
    if (!read && read.error().code == Code::kTooLarge) {
        co_return fail(Code::kCorrupt, path +
                                           " is far larger than the 32 bytes of a cluster "
                                           "secret; restore it from a backup or copy it from "
                                           "another node");
    }
    CO_TRY_ASSIGN(std::string content, std::move(read));
    co_return parse(path, std::move(content));
}

runtime::Task<Result<Key256>> load_or_create_cluster_secret(runtime::Disk* disk, KeySource* keys,
                                                            std::string path) {
    auto loaded = co_await load_cluster_secret(disk, path);
    if (loaded || loaded.error().code != Code::kNotFound) co_return loaded;
    const Key256 key = keys->key();
    auto written =
        co_await runtime::write_file(disk, path, std::string(base::as_text(key.bytes())));
    CO_TRY(std::move(written));
    co_return key;
}

}  // namespace hamster::crypto
