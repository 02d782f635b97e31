#include "base/assert.h"
#include "meta/apply_parts.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "meta/references.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;

constexpr std::uint64_t kMsPerSecond = 1000;

bool is_valid_key(const std::string& key) { return !key.empty() && key.size() <= kMaxKeyBytes; }

// The listing row of the key's newest version.
proto::Current current_of(const proto::Version& version) {
    proto::Current current;
    current.set_size(version.size());
    current.set_modified_ms(version.modified_ms());
    current.set_etag(version.etag());
    current.set_storage_class(version.headers().storage_class());
    current.set_checksum_algorithm(version.checksum().algorithm());
    current.set_checksum_type(version.checksum().type());
    current.set_owner(version.owner());
    return current;
}

Result<std::optional<proto::Version>> load_null(const Txn& txn, const BucketId& bucket,
                                                const std::string& key) {
    return txn.load<proto::Version>(version_row(bucket, key, VersionId{}));
}

Result<void> drop_blobs(Txn& txn, const proto::Version& version) {
    for (const auto& part : version.parts()) {
        TRY(drop_reference(txn, part));
    }
    return {};
}

bool same_second(std::uint64_t a_ms, std::uint64_t b_ms) {
    return a_ms / kMsPerSecond == b_ms / kMsPerSecond;
}

Result<void> remove_null_version(Txn& txn, const BucketId& bucket, const std::string& key,
                                 const proto::Version& version, proto::BucketCounters& counters) {
    if (counters.objects() == 0 || counters.versions() == 0 || counters.bytes() < version.size()) {
        return Txn::corrupt_row(bucket_counters_row(bucket));
    }
    TRY(drop_blobs(txn, version));
    txn.erase(version_row(bucket, key, VersionId{}));
    txn.erase(current_row(bucket, key));
    counters.set_objects(counters.objects() - 1);
    counters.set_versions(counters.versions() - 1);
    counters.set_bytes(counters.bytes() - version.size());
    return {};
}

std::uint64_t size_of(const Parts& parts) {
    std::uint64_t size = 0;
    for (const auto& part : parts) {
        size += part.size();
    }
    return size;
}

}  // namespace

std::optional<Answer> judge(const proto::Precondition& condition, const proto::Version* present) {
    if (condition.if_none_match_any() && present != nullptr) {
        return refuse(Answer::PRECONDITION_FAILED, "If-None-Match");
    }
    const bool wants_present = !condition.if_match_etag().empty() ||
                               condition.has_if_match_modified_ms() ||
                               condition.has_if_match_size();
    if (wants_present && present == nullptr) {
        return refuse(Answer::KEY_NOT_FOUND_FOR_IF_MATCH);
    }
    if (!condition.if_match_etag().empty() && condition.if_match_etag() != "*" &&
        condition.if_match_etag() != present->etag()) {
        return refuse(Answer::PRECONDITION_FAILED, "If-Match");
    }
    // Clients see whole seconds.
    if (condition.has_if_match_modified_ms() &&
        !same_second(condition.if_match_modified_ms(), present->modified_ms())) {
        return refuse(Answer::PRECONDITION_FAILED, "x-amz-if-match-last-modified-time");
    }
    if (condition.has_if_match_size() && condition.if_match_size() != present->size()) {
        return refuse(Answer::PRECONDITION_FAILED, "x-amz-if-match-size");
    }
    return std::nullopt;
}

Answered install_null_version(Txn& txn, const BucketId& bucket, const std::string& key,
                              const std::optional<proto::Version>& old, proto::Version version,
                              proto::BucketCounters& counters) {
    if (old) {
        TRY(remove_null_version(txn, bucket, key, *old, counters));
    }
    version.set_version_id(std::string(VersionId{}.view()));
    version.set_order(std::string(commit_order_id(txn.stamp_ms(), txn.index()).view()));
    version.clear_noncurrent();
    version.clear_delete_marker();
    version.set_modified_ms(txn.stamp_ms());
    counters.set_objects(counters.objects() + 1);
    counters.set_versions(counters.versions() + 1);
    counters.set_bytes(counters.bytes() + version.size());
    txn.put(version_row(bucket, key, VersionId{}), version);
    txn.put(current_row(bucket, key), current_of(version));

    Answer answer;
    answer.set_etag(version.etag());
    answer.set_version_id(version.version_id());
    answer.set_modified_ms(version.modified_ms());
    answer.set_size(version.size());
    if (version.has_checksum()) *answer.mutable_checksum() = version.checksum();
    return answer;
}

Answered apply_put_object(Txn& txn, const proto::PutObject& command) {
    const auto bucket = BucketId::from_bytes(command.bucket_id());
    if (!bucket || !is_valid_key(command.key()) || !command.has_version()) {
        return refuse(Answer::INVALID_REQUEST, "malformed bucket id, key or version");
    }
    const proto::Version& version = command.version();
    if (version.size() != size_of(version.parts()) ||
        static_cast<std::uint32_t>(version.parts_size()) > kMaxParts ||
        static_cast<std::size_t>(version.headers().tags_size()) > kMaxTags) {
        return refuse(Answer::INVALID_REQUEST, "the version does not add up");
    }
    TRY_ASSIGN(auto counters, load_counters(txn, *bucket));
    if (!counters) return refuse(Answer::NO_SUCH_BUCKET);
    TRY_ASSIGN(const auto old, load_null(txn, *bucket, command.key()));
    if (auto refusal = judge(command.precondition(), old ? &*old : nullptr)) return *refusal;
    // First the new references, then the old ones go: a copy onto itself keeps its blobs.
    TRY_ASSIGN(auto refusal,
               take_references(txn, version.parts(), command.new_blobs(), command.shared_blobs()));
    if (refusal) return *refusal;
    TRY_ASSIGN(auto answer,
               install_null_version(txn, *bucket, command.key(), old, version, *counters));
    put_counters(txn, *bucket, *counters);
    return answer;
}

Answered apply_delete_object(Txn& txn, const proto::DeleteObject& command) {
    const auto bucket = BucketId::from_bytes(command.bucket_id());
    if (!bucket || !is_valid_key(command.key())) {
        return refuse(Answer::INVALID_REQUEST, "malformed bucket id or key");
    }
    TRY_ASSIGN(auto counters, load_counters(txn, *bucket));
    if (!counters) return refuse(Answer::NO_SUCH_BUCKET);
    // Without versioning every version is the null version; a version id can only name that one.
    const auto id = command.has_version_id() ? VersionId::from_bytes(command.version_id())
                                             : std::optional<VersionId>(VersionId{});
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed version id");
    std::optional<proto::Version> present;
    if (id->is_zero()) {
        TRY_ASSIGN(present, load_null(txn, *bucket, command.key()));
    }
    if (auto refusal = judge(command.precondition(), present ? &*present : nullptr)) {
        return *refusal;
    }
    Answer answer;
    if (command.has_version_id()) answer.set_version_id(command.version_id());
    if (!present) return answer;  // deleting what is not there succeeds
    TRY(remove_null_version(txn, *bucket, command.key(), *present, *counters));
    put_counters(txn, *bucket, *counters);
    return answer;
}

Answered apply_put_tags(Txn& txn, const proto::PutTags& command) {
    const auto bucket = BucketId::from_bytes(command.bucket_id());
    if (!bucket || !is_valid_key(command.key()) ||
        static_cast<std::size_t>(command.tags_size()) > kMaxTags) {
        return refuse(Answer::INVALID_REQUEST, "malformed bucket id, key or tags");
    }
    TRY_ASSIGN(const auto counters, load_counters(txn, *bucket));
    if (!counters) return refuse(Answer::NO_SUCH_BUCKET);
    const auto id = command.has_version_id() ? VersionId::from_bytes(command.version_id())
                                             : std::optional<VersionId>(VersionId{});
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed version id");
    const std::string row = version_row(*bucket, command.key(), *id);
    TRY_ASSIGN(auto version, txn.load<proto::Version>(row));
    if (!version) {
        return refuse(command.has_version_id() ? Answer::NO_SUCH_VERSION : Answer::NO_SUCH_KEY);
    }
    *version->mutable_headers()->mutable_tags() = command.tags();
    txn.put(row, *version);
    Answer answer;
    answer.set_version_id(version->version_id());
    return answer;
}

}  // namespace hamster::meta
