#include <algorithm>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/planted.h"
#include "meta/apply_parts.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "meta/references.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;

// Forgets uploads that ended long ago: a few per command, from where the last one stopped, so that
// the seek never steps over what was erased.
Result<void> forget_finished(Txn& txn) {
    if (txn.stamp_ms() < kFinishedUploadMemoryMs) return {};
    const std::string cursor = system_row("finished");
    TRY_ASSIGN(const auto from, txn.get(cursor));
    const std::string first = from ? *from : table_prefix(Table::kFinishedByTime);
    const std::string bound =
        finished_time_row(txn.stamp_ms() - kFinishedUploadMemoryMs, UploadId{});
    if (first >= bound) return {};
    TRY_ASSIGN(const auto rows, txn.scan(first, bound, kForgetUploadsPerCommand));
    for (const Txn::Row& row : rows) {
        const auto id = UploadId::from_bytes(std::string_view(row.key).substr(
            row.key.size() - std::min<std::size_t>(row.key.size(), UploadId{}.raw.size())));
        if (!id) return Txn::corrupt_row(row.key);
        txn.erase(row.key);
        txn.erase(finished_upload_row(*id));
        txn.put(cursor, row.key);
    }
    return {};
}

struct Found {
    BucketId bucket;
    UploadId id;
    proto::Upload upload;
    proto::BucketCounters counters;
};

// The bucket and the upload a command is about.
template <class Command>
Result<std::optional<Answer>> find_upload(const Txn& txn, const Command& command, Found& found) {
    const auto bucket = BucketId::from_bytes(command.bucket_id());
    const auto id = UploadId::from_bytes(command.upload_id());
    if (!bucket || !id) return refuse(Answer::INVALID_REQUEST, "malformed bucket or upload id");
    TRY_ASSIGN(auto counters, load_counters(txn, *bucket));
    if (!counters) return refuse(Answer::NO_SUCH_BUCKET);
    TRY_ASSIGN(auto upload, txn.load<proto::Upload>(upload_row(*bucket, command.key(), *id)));
    if (!upload) return refuse(Answer::NO_SUCH_UPLOAD);
    found = {*bucket, *id, std::move(*upload), std::move(*counters)};
    return std::nullopt;
}

}  // namespace

Result<std::vector<proto::Part>> load_parts(const Txn& txn, const UploadId& upload,
                                            std::size_t limit) {
    const std::string prefix = parts_of_upload(upload);
    TRY_ASSIGN(const auto rows, txn.scan(prefix, after_prefix(prefix), limit));
    std::vector<proto::Part> parts(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!parts[i].ParseFromString(rows[i].value)) return Txn::corrupt_row(rows[i].key);
    }
    return parts;
}

Result<void> end_upload(Txn& txn, const proto::Upload& upload, std::span<const proto::Part> parts,
                        std::span<const std::uint32_t> keep, proto::BucketCounters& counters) {
    HAMSTER_ASSERT(std::ranges::is_sorted(keep));
    const auto bucket = BucketId::from_bytes(upload.bucket_id());
    const auto id = UploadId::from_bytes(upload.upload_id());
    if (!bucket || !id) return fail(Code::kCorrupt, "a stored upload holds malformed ids");
    std::uint64_t bytes = 0;
    for (const proto::Part& part : parts) {
        bytes += part.size();
        txn.erase(part_row(*id, part.number()));
        if (!std::ranges::binary_search(keep, part.number())) {
            TRY(drop_reference(txn, part));
        }
    }
    if (counters.uploads() == 0 || counters.bytes() < bytes) {
        return Txn::corrupt_row(bucket_counters_row(*bucket));
    }
    counters.set_uploads(counters.uploads() - 1);
    counters.set_bytes(counters.bytes() - bytes);
    txn.erase(upload_row(*bucket, upload.key(), *id));
    txn.erase(upload_id_row(*id));
    return {};
}

Result<void> remember_finished(Txn& txn, const UploadId& upload, proto::FinishedUpload finished) {
    TRY(forget_finished(txn));
    finished.set_finished_ms(txn.stamp_ms());
    txn.put(finished_upload_row(upload), finished);
    txn.put(finished_time_row(txn.stamp_ms(), upload), std::string());
    return {};
}

Answered apply_create_upload(Txn& txn, const proto::CreateUpload& command) {
    proto::Upload upload = command.upload();
    const auto bucket = BucketId::from_bytes(upload.bucket_id());
    const auto id = UploadId::from_bytes(upload.upload_id());
    if (!bucket || !id || upload.key().empty() || upload.key().size() > kMaxKeyBytes ||
        static_cast<std::size_t>(upload.headers().tags_size()) > kMaxTags) {
        return refuse(Answer::INVALID_REQUEST, "malformed upload");
    }
    TRY_ASSIGN(auto counters, load_counters(txn, *bucket));
    if (!counters) return refuse(Answer::NO_SUCH_BUCKET);
    TRY_ASSIGN(const bool running, txn.exists(upload_id_row(*id)));
    TRY_ASSIGN(const bool finished, txn.exists(finished_upload_row(*id)));
    if (running || finished) return refuse(Answer::INVALID_REQUEST, "the upload id is taken");
    upload.set_initiated_ms(txn.stamp_ms());
    txn.put(upload_row(*bucket, upload.key(), *id), upload);
    txn.put(upload_id_row(*id), upload.bucket_id() + upload.key());
    counters->set_uploads(counters->uploads() + 1);
    put_counters(txn, *bucket, *counters);
    Answer answer;
    answer.set_modified_ms(txn.stamp_ms());
    return answer;
}

Answered apply_put_part(Txn& txn, const proto::PutPart& command) {
    Found found;
    TRY_ASSIGN(auto missing, find_upload(txn, command, found));
    if (missing) return *missing;
    proto::Part part = command.part();
    if (part.number() == 0 || part.number() > kMaxParts || part.md5().size() != 16 ||
        part.size() > kMaxObjectPutBytes) {
        return refuse(Answer::INVALID_REQUEST, "malformed part");
    }
    const std::string row = part_row(found.id, part.number());
    TRY_ASSIGN(const auto old, txn.load<proto::Part>(row));
    part.set_modified_ms(txn.stamp_ms());
    Parts parts;
    *parts.Add() = part;
    TRY_ASSIGN(auto refusal,
               take_references(txn, parts, command.new_blobs(), command.shared_blobs()));
    if (refusal) return *refusal;
    if (base::planted(base::Bug::kCollectParts)) {
        TRY(drop_reference(txn, part));
    }
    const std::uint64_t old_size = old ? old->size() : 0;
    if (found.counters.bytes() < old_size) {
        return Txn::corrupt_row(bucket_counters_row(found.bucket));
    }
    if (old) {
        TRY(drop_reference(txn, *old));
    }
    txn.put(row, part);
    found.counters.set_bytes(found.counters.bytes() - old_size + part.size());
    put_counters(txn, found.bucket, found.counters);

    Answer answer;
    answer.set_etag(base::hex_encode(base::as_bytes(part.md5())));
    answer.set_modified_ms(part.modified_ms());
    answer.set_size(part.size());
    if (part.has_checksum()) *answer.mutable_checksum() = part.checksum();
    return answer;
}

Answered apply_abort_upload(Txn& txn, const proto::AbortUpload& command) {
    Found found;
    TRY_ASSIGN(auto missing, find_upload(txn, command, found));
    if (missing && missing->status() == Answer::NO_SUCH_UPLOAD) {
        const auto id = UploadId::from_bytes(command.upload_id());
        TRY_ASSIGN(const auto ended, txn.load<proto::FinishedUpload>(finished_upload_row(*id)));
        if (ended && ended->aborted() && ended->bucket_id() == command.bucket_id() &&
            ended->key() == command.key()) {
            return Answer{};  // the same abort again
        }
    }
    if (missing) return *missing;
    TRY_ASSIGN(const auto parts, load_parts(txn, found.id, kMaxParts));
    TRY(end_upload(txn, found.upload, parts, {}, found.counters));
    put_counters(txn, found.bucket, found.counters);
    proto::FinishedUpload finished;
    finished.set_bucket_id(command.bucket_id());
    finished.set_key(command.key());
    finished.set_aborted(true);
    TRY(remember_finished(txn, found.id, std::move(finished)));
    return Answer{};
}

}  // namespace hamster::meta
