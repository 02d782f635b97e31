#include "s3/ops/answer.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "base/planted.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "s3/ops/conditions.h"

namespace hamster::s3::ops {

namespace {

using Answer = proto::Answer;

S3Error plain(ErrorCode code, std::string message = {}) {
    return {code, std::move(message), {}, {}};
}

S3Error with_detail(ErrorCode code, std::string name, std::string value) {
    S3Error error = plain(code);
    error.details.emplace_back(std::move(name), std::move(value));
    return error;
}

S3Error unexpected_answer(const Answer& answer) {
    LOG_ERROR("s3", "command refused: {}: {}", Answer::Status_Name(answer.status()),
              answer.detail());
    return plain(ErrorCode::kInternalError);
}

}  // namespace

S3Error error_of(const Answer& answer) {
    switch (answer.status()) {
        case Answer::NO_SUCH_BUCKET:
            return plain(ErrorCode::kNoSuchBucket);
        case Answer::BUCKET_ALREADY_EXISTS:
            return plain(ErrorCode::kBucketAlreadyExists);
        case Answer::BUCKET_ALREADY_OWNED_BY_YOU:
            return plain(ErrorCode::kBucketAlreadyOwnedByYou);
        case Answer::BUCKET_NOT_EMPTY:
            return plain(ErrorCode::kBucketNotEmpty);
        case Answer::NO_SUCH_KEY:
        case Answer::KEY_NOT_FOUND_FOR_IF_MATCH:
            return plain(ErrorCode::kNoSuchKey);
        case Answer::NO_SUCH_VERSION:
            return plain(ErrorCode::kNoSuchVersion);
        case Answer::PRECONDITION_FAILED:
            return precondition_failed(answer.detail());
        case Answer::NO_SUCH_UPLOAD:
            return plain(ErrorCode::kNoSuchUpload);
        case Answer::INVALID_PART:
            return with_detail(ErrorCode::kInvalidPart, "PartNumber", answer.detail());
        case Answer::INVALID_PART_ORDER:
            return plain(ErrorCode::kInvalidPartOrder);
        case Answer::ENTITY_TOO_SMALL: {
            S3Error error = with_detail(ErrorCode::kEntityTooSmall, "PartNumber", answer.detail());
            error.details.emplace_back("MinSizeAllowed", std::to_string(meta::kMinPartBytes));
            return error;
        }
        case Answer::BLOB_GONE:
        // The node gives its blobs away: another one takes the request.
        case Answer::NODE_LEAVING:
        // The layout changes faster than bodies can follow it, or nodes fail meanwhile.
        case Answer::LAYOUT_CHANGED:
        case Answer::TOO_FEW_SHARDS:
            return plain(ErrorCode::kSlowDown);
        case Answer::BAD_CHECKSUM:
            return plain(ErrorCode::kBadDigest,
                         "The checksum you specified did not match the calculated checksum.");
        case Answer::SIZE_MISMATCH:
            return plain(ErrorCode::kInvalidRequest,
                         "The provided 'x-amz-mp-object-size' header does not match what was "
                         "computed.");
        case Answer::TOO_MANY_BUCKETS:
            return plain(ErrorCode::kTooManyBuckets);
        case Answer::INVALID_REQUEST:
            return plain(ErrorCode::kInvalidRequest, answer.detail());
        // Not applied, and not to be: a new request may be.
        case Answer::REQUEST_EXPIRED:
            return plain(ErrorCode::kServiceUnavailable);
        // No operation of S3 deletes users, so this would be our own bug, like what is not named.
        case Answer::USER_OWNS_BUCKETS:
        default:
            return unexpected_answer(answer);
    }
}

runtime::Task<S3Result<Committed>> commit(runtime::World* world, meta::Group* group,
                                          proto::Command command) {
    // Minted here, so that a second proposal is recognised as the same one.
    const base::RequestId id =
        meta::mint_request_id(group->stamp_now(), world->random.id<base::RequestId>());
    command.set_request_id(std::string(id.view()));
    if (base::planted(base::Bug::kRetryAsNew)) {
        proto::Command first = command;
        first.clear_request_id();
        (void)co_await group->propose(std::move(first));
    }
    for (int attempt = 1;; ++attempt) {
        proto::Command copy = command;
        auto answer = co_await group->propose(std::move(copy));
        if (answer && answer->status() != Answer::REQUEST_EXPIRED) {
            co_return Committed{std::move(*answer)};
        }
        // Expired after an unknown outcome: it stays unknown.
        if (answer && attempt > 1) {
            co_return std::unexpected(from_error({Code::kUnknownOutcome, "expired meanwhile"}));
        }
        if (answer) co_return std::unexpected(error_of(*answer));
        if (answer.error().code != Code::kUnknownOutcome || attempt == kMaxProposals) {
            co_return std::unexpected(from_error(answer.error()));
        }
    }
}

}  // namespace hamster::s3::ops
