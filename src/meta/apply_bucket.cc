#include "base/assert.h"
#include "meta/apply_parts.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "meta/references.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;

Answered name_is_taken(const Txn& txn, const std::string& name, const std::string& owner) {
    TRY_ASSIGN(const auto present, txn.load<proto::Bucket>(bucket_row(name)));
    if (!present) return Answer{};
    return refuse(present->owner() == owner ? Answer::BUCKET_ALREADY_OWNED_BY_YOU
                                            : Answer::BUCKET_ALREADY_EXISTS);
}

// Uploads in progress do not keep a bucket alive; they are aborted with it.
Answered abort_uploads(Txn& txn, const BucketId& bucket, proto::BucketCounters& counters) {
    const std::string prefix = uploads_of_bucket(bucket);
    TRY_ASSIGN(const auto rows,
               txn.scan(prefix, after_prefix(prefix), kMaxPartsPerBucketDelete + 1));
    std::size_t budget = kMaxPartsPerBucketDelete;
    for (const Txn::Row& row : rows) {
        proto::Upload upload;
        if (!upload.ParseFromString(row.value)) return Txn::corrupt_row(row.key);
        const auto id = UploadId::from_bytes(upload.upload_id());
        if (!id) return Txn::corrupt_row(row.key);
        TRY_ASSIGN(const auto parts, load_parts(txn, *id, budget + 1));
        if (parts.size() + 1 > budget) {
            return refuse(Answer::BUCKET_NOT_EMPTY, "abort the uploads in progress first");
        }
        budget -= parts.size() + 1;
        TRY(end_upload(txn, upload, parts, {}, counters));
    }
    return Answer{};
}

}  // namespace

Result<std::optional<proto::BucketCounters>> load_counters(const Txn& txn, const BucketId& bucket) {
    return txn.load<proto::BucketCounters>(bucket_counters_row(bucket));
}

void put_counters(Txn& txn, const BucketId& bucket, const proto::BucketCounters& counters) {
    HAMSTER_ASSERT(counters.objects() <= counters.versions(), counters.objects());
    txn.put(bucket_counters_row(bucket), counters);
}

Answered apply_create_bucket(Txn& txn, const proto::CreateBucket& command) {
    const auto id = BucketId::from_bytes(command.bucket_id());
    const auto owner = UserId::from_bytes(command.owner());
    if (!id || !owner || command.name().empty()) {
        return refuse(Answer::INVALID_REQUEST, "malformed bucket");
    }
    TRY_ASSIGN(auto taken, name_is_taken(txn, command.name(), command.owner()));
    if (taken.status() != Answer::OK) return taken;
    if (!owner->is_zero()) {
        TRY_ASSIGN(const bool known, txn.exists(user_row(*owner)));
        if (!known) return refuse(Answer::NO_SUCH_USER);
    }
    TRY_ASSIGN(const bool id_taken, txn.exists(bucket_id_row(*id)));
    if (id_taken) return refuse(Answer::INVALID_REQUEST, "the bucket id is taken");
    const std::string owned = buckets_of_owner(*owner);
    TRY_ASSIGN(const auto rows, txn.scan(owned, after_prefix(owned), kMaxBucketsPerUser));
    if (rows.size() >= kMaxBucketsPerUser) return refuse(Answer::TOO_MANY_BUCKETS);

    proto::Bucket bucket;
    bucket.set_bucket_id(command.bucket_id());
    bucket.set_name(command.name());
    bucket.set_created_ms(txn.stamp_ms());
    bucket.set_owner(command.owner());
    bucket.set_region(command.region());
    txn.put(bucket_row(command.name()), bucket);
    txn.put(bucket_id_row(*id), command.name());
    txn.put(bucket_owner_row(*owner, command.name()), command.bucket_id());
    put_counters(txn, *id, proto::BucketCounters{});
    Answer answer;
    answer.set_modified_ms(txn.stamp_ms());
    return answer;
}

Answered apply_delete_bucket(Txn& txn, const proto::DeleteBucket& command) {
    const auto id = BucketId::from_bytes(command.bucket_id());
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed bucket id");
    TRY_ASSIGN(auto counters, load_counters(txn, *id));
    TRY_ASSIGN(const auto name, txn.get(bucket_id_row(*id)));
    if (counters.has_value() != name.has_value()) return Txn::corrupt_row(bucket_id_row(*id));
    if (!counters) return refuse(Answer::NO_SUCH_BUCKET);
    if (counters->versions() != 0) return refuse(Answer::BUCKET_NOT_EMPTY);
    TRY_ASSIGN(const auto bucket, txn.load<proto::Bucket>(bucket_row(*name)));
    const auto owner = bucket ? UserId::from_bytes(bucket->owner()) : std::nullopt;
    if (!owner) return Txn::corrupt_row(bucket_row(*name));

    TRY_ASSIGN(auto aborted, abort_uploads(txn, *id, *counters));
    if (aborted.status() != Answer::OK) return aborted;
    if (counters->uploads() != 0 || counters->bytes() != 0) {
        return Txn::corrupt_row(bucket_counters_row(*id));
    }
    txn.erase(bucket_row(*name));
    txn.erase(bucket_id_row(*id));
    txn.erase(bucket_owner_row(*owner, *name));
    txn.erase(bucket_counters_row(*id));
    return Answer{};
}

}  // namespace hamster::meta
