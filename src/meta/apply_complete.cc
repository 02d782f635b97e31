#include <vector>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/planted.h"
#include "meta/apply_parts.h"
#include "meta/composite.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "meta/references.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;
using Refusal = std::optional<Answer>;

std::uint64_t hash_of_list(const proto::CompleteUpload& command) {
    std::string list;
    for (const auto& part : command.parts()) {
        base::put_be32(list, part.number());
        list.append(part.etag());
        list.push_back('\0');
    }
    return base::xxh3_64(base::as_bytes(list));
}

// The upload is not there: it may be that this very Complete ended it.
Answered answer_again(const Txn& txn, const UploadId& id, const proto::CompleteUpload& command) {
    TRY_ASSIGN(const auto ended, txn.load<proto::FinishedUpload>(finished_upload_row(id)));
    if (ended && !ended->aborted() && ended->bucket_id() == command.bucket_id() &&
        ended->key() == command.key() && ended->parts_hash() == hash_of_list(command)) {
        return ended->answer();
    }
    return refuse(Answer::NO_SUCH_UPLOAD);
}

Refusal judge_order(const proto::CompleteUpload& command) {
    if (command.parts().empty() || static_cast<std::uint32_t>(command.parts_size()) > kMaxParts) {
        return refuse(Answer::INVALID_REQUEST, "the part list is empty or too long");
    }
    std::uint32_t last = 0;
    for (const auto& part : command.parts()) {
        if (part.number() <= last) return refuse(Answer::INVALID_PART_ORDER);
        last = part.number();
    }
    return std::nullopt;
}

bool matches(const proto::CompletedPart& claimed, const proto::Part& stored) {
    if (base::planted(base::Bug::kCompleteAnyPart)) return true;
    if (claimed.etag() != base::hex_encode(base::as_bytes(stored.md5()))) return false;
    if (claimed.checksum().value().empty()) return true;
    return claimed.checksum().algorithm() == stored.checksum().algorithm() &&
           claimed.checksum().value() == stored.checksum().value();
}

// The stored parts that the list names, in its order. Both lists ascend.
Refusal choose_parts(const proto::CompleteUpload& command, const std::vector<proto::Part>& stored,
                     std::vector<proto::Part>& chosen) {
    std::size_t at = 0;
    for (const auto& claimed : command.parts()) {
        while (at < stored.size() && stored[at].number() < claimed.number()) {
            ++at;
        }
        if (at == stored.size() || stored[at].number() != claimed.number() ||
            !matches(claimed, stored[at])) {
            return refuse(Answer::INVALID_PART, std::to_string(claimed.number()));
        }
        chosen.push_back(stored[at]);
    }
    for (std::size_t i = 0; i + 1 < chosen.size(); ++i) {
        if (chosen[i].size() < kMinPartBytes) {
            return refuse(Answer::ENTITY_TOO_SMALL, std::to_string(chosen[i].number()));
        }
    }
    return std::nullopt;
}

// Computes the checksum of the whole and holds the client's claim against it.
Refusal judge_checksum(const proto::CompleteUpload& command, const proto::Upload& upload,
                       const std::vector<proto::Part>& chosen, proto::Version& version) {
    const proto::Checksum& claimed = command.checksum();
    if (upload.checksum_algorithm() == proto::CHECKSUM_NONE) {
        if (claimed.value().empty()) return std::nullopt;
        return refuse(Answer::INVALID_REQUEST, "the upload was created without a checksum");
    }
    const auto whole = composite_checksum(upload, chosen);
    if (!whole) return refuse(Answer::INVALID_REQUEST, "the parts have no such checksum");
    *version.mutable_checksum() = *whole;
    const bool claims_type = claimed.type() != proto::CHECKSUM_TYPE_UNSPECIFIED;
    if (claims_type && claimed.type() != whole->type()) {
        return refuse(Answer::INVALID_REQUEST, "the checksum type is not that of the upload");
    }
    if (claimed.value().empty()) return std::nullopt;
    if (claimed.algorithm() != whole->algorithm() || claimed.value() != whole->value()) {
        return refuse(Answer::BAD_CHECKSUM);
    }
    return std::nullopt;
}

proto::Version version_of(const proto::Upload& upload, const std::vector<proto::Part>& chosen) {
    proto::Version version;
    std::uint64_t size = 0;
    for (const proto::Part& part : chosen) {
        *version.add_parts() = part;
        size += part.size();
    }
    version.set_size(size);
    version.set_etag(composite_etag(chosen));
    *version.mutable_headers() = upload.headers();
    version.set_multipart(true);
    version.set_owner(upload.owner());
    return version;
}

// Everything that can be judged without changing anything; the version it would make.
Refusal plan(const proto::CompleteUpload& command, const proto::Upload& upload,
             const std::vector<proto::Part>& stored, proto::Version& version) {
    if (auto refusal = judge_order(command)) return refusal;
    std::vector<proto::Part> chosen;
    if (auto refusal = choose_parts(command, stored, chosen)) return refusal;
    version = version_of(upload, chosen);
    if (command.has_expected_size() && command.expected_size() != version.size()) {
        return refuse(Answer::SIZE_MISMATCH);
    }
    return judge_checksum(command, upload, chosen, version);
}

}  // namespace

Answered apply_complete_upload(Txn& txn, const proto::CompleteUpload& command) {
    const auto bucket = BucketId::from_bytes(command.bucket_id());
    const auto id = UploadId::from_bytes(command.upload_id());
    if (!bucket || !id) return refuse(Answer::INVALID_REQUEST, "malformed bucket or upload id");
    TRY_ASSIGN(auto counters, load_counters(txn, *bucket));
    if (!counters) return refuse(Answer::NO_SUCH_BUCKET);
    TRY_ASSIGN(const auto upload, txn.load<proto::Upload>(upload_row(*bucket, command.key(), *id)));
    if (!upload) return answer_again(txn, *id, command);
    TRY_ASSIGN(const auto stored, load_parts(txn, *id, kMaxParts));
    proto::Version version;
    if (auto refusal = plan(command, *upload, stored, version)) return *refusal;
    TRY_ASSIGN(const auto old,
               txn.load<proto::Version>(version_row(*bucket, command.key(), VersionId{})));
    if (auto refusal = judge(command.precondition(), old ? &*old : nullptr)) return *refusal;

    // The references of the listed parts pass from the upload to the version as they are.
    std::vector<std::uint32_t> keep;
    for (const auto& part : version.parts()) {
        keep.push_back(part.number());
    }
    TRY(end_upload(txn, *upload, stored, keep, *counters));
    TRY_ASSIGN(auto answer, install_null_version(txn, *bucket, command.key(), old,
                                                 std::move(version), *counters));
    put_counters(txn, *bucket, *counters);
    proto::FinishedUpload finished;
    finished.set_bucket_id(command.bucket_id());
    finished.set_key(command.key());
    finished.set_parts_hash(hash_of_list(command));
    *finished.mutable_answer() = answer;
    TRY(remember_finished(txn, *id, std::move(finished)));
    return answer;
}

}  // namespace hamster::meta
