#include "meta/view.h"

#include "base/assert.h"
#include "base/encoding.h"
#include "meta/view_rows.h"

namespace hamster::meta {

namespace {

// Where to start among rows that begin with `base` and go on with a name: after `after`, not before
// `prefix`.
std::string start_of(const std::string& base, std::string_view prefix, std::string_view after) {
    std::string from = base + std::string(prefix);
    if (after.empty()) return from;
    std::string next = base + std::string(after);
    next.push_back('\0');
    return std::max(from, next);
}

}  // namespace

Result<std::optional<proto::Bucket>> View::bucket(std::string_view name) const {
    return load<proto::Bucket>(*snapshot_, bucket_row(name));
}

Result<std::vector<proto::Bucket>> View::buckets(std::optional<base::UserId> owner,
                                                 std::string_view prefix, std::string_view after,
                                                 std::size_t limit) const {
    const std::string base = owner ? buckets_of_owner(*owner) : table_prefix(Table::kBucketByName);
    const std::string from = start_of(base, prefix, after);
    const std::string to = after_prefix(base + std::string(prefix));
    if (!owner) return load_all<proto::Bucket>(*snapshot_, from, to, limit);
    std::vector<proto::Bucket> out;
    TRY(each(*snapshot_, from, to, limit,
             [&](std::string_view row, std::string_view) -> Result<void> {
                 TRY_ASSIGN(auto found, bucket(row.substr(base.size())));
                 if (!found) return corrupt_view_row(row);
                 out.push_back(std::move(*found));
                 return {};
             }));
    return out;
}

Result<proto::BucketCounters> View::counters(const BucketId& bucket) const {
    TRY_ASSIGN(auto counters, load<proto::BucketCounters>(*snapshot_, bucket_counters_row(bucket)));
    if (!counters) return fail(Code::kNotFound, "no such bucket");
    return *counters;
}

Result<std::optional<proto::Version>> View::newest(const BucketId& bucket,
                                                   std::string_view key) const {
    // Without versioning the null version is all there is: one read finds it.
    TRY_ASSIGN(auto null, load<proto::Version>(*snapshot_, version_row(bucket, key, VersionId{})));
    if (null && !null->noncurrent()) return null;
    const std::string prefix = version_prefix(bucket, key);
    TRY_ASSIGN(auto first, load_all<proto::Version>(*snapshot_, prefix, after_prefix(prefix), 1));
    if (first.empty()) return std::nullopt;
    return std::move(first.front());
}

Result<std::optional<proto::Version>> View::version(const BucketId& bucket, std::string_view key,
                                                    const VersionId& id) const {
    return load<proto::Version>(*snapshot_, version_row(bucket, key, id));
}

Result<std::optional<proto::Upload>> View::upload(const BucketId& bucket, std::string_view key,
                                                  const base::UploadId& id) const {
    return load<proto::Upload>(*snapshot_, upload_row(bucket, key, id));
}

Result<std::vector<proto::Part>> View::parts(const base::UploadId& upload, std::uint32_t after,
                                             std::size_t limit) const {
    if (after == UINT32_MAX) return std::vector<proto::Part>{};
    return load_all<proto::Part>(*snapshot_, part_row(upload, after + 1),
                                 after_prefix(parts_of_upload(upload)), limit);
}

Result<std::optional<proto::Blob>> View::blob(const base::BlobId& id) const {
    return load<proto::Blob>(*snapshot_, blob_row(id));
}

Result<std::vector<View::GarbageEntry>> View::garbage(std::optional<base::BlobId> after,
                                                      std::size_t limit) const {
    const std::string base = table_prefix(Table::kGarbage);
    std::vector<GarbageEntry> out;
    TRY(each(*snapshot_, after ? garbage_row(*after) + '\0' : base, after_prefix(base), limit,
             [&out](std::string_view row, std::string_view value) -> Result<void> {
                 GarbageEntry& entry = out.emplace_back();
                 const auto id = base::BlobId::from_bytes(
                     row.substr(std::min(row.size(), 1 + sizeof(std::uint16_t))));
                 if (!id ||
                     !entry.garbage.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
                     return corrupt_view_row(row);
                 }
                 entry.blob = *id;
                 return {};
             }));
    return out;
}

Result<bool> View::knows_blob(const base::BlobId& id) const {
    TRY_ASSIGN(const auto live, snapshot_->get(blob_row(id)));
    if (live) return true;
    TRY_ASSIGN(const auto garbage, snapshot_->get(garbage_row(id)));
    return garbage.has_value();
}

Result<std::optional<proto::Credential>> View::credential(std::string_view access_key_id) const {
    return load<proto::Credential>(*snapshot_, credential_row(access_key_id));
}

Result<std::vector<proto::Credential>> View::credentials_of(base::UserId user) const {
    const std::string all = table_prefix(Table::kCredential);
    TRY_ASSIGN(auto found,
               load_all<proto::Credential>(*snapshot_, all, after_prefix(all), SIZE_MAX));
    std::erase_if(found, [&user](const proto::Credential& credential) {
        return credential.user_id() != user.view();
    });
    return found;
}

Result<std::optional<proto::User>> View::user(const base::UserId& id) const {
    return load<proto::User>(*snapshot_, user_row(id));
}

Result<std::optional<proto::User>> View::user_by_name(std::string_view name) const {
    TRY_ASSIGN(const auto bytes, snapshot_->get(user_name_row(name)));
    if (!bytes) return std::nullopt;
    const auto id = base::UserId::from_bytes(*bytes);
    if (!id) return corrupt_view_row(user_name_row(name));
    return user(*id);
}

Result<std::vector<proto::User>> View::users() const {
    const std::string all = table_prefix(Table::kUser);
    return load_all<proto::User>(*snapshot_, all, after_prefix(all), SIZE_MAX);
}

Result<proto::ClusterInfo> View::cluster() const {
    TRY_ASSIGN(auto info, load<proto::ClusterInfo>(*snapshot_, system_row("cluster")));
    if (!info) return fail(Code::kNotFound, "the cluster is not founded");
    return *info;
}

}  // namespace hamster::meta
