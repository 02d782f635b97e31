// What apply answered, as S3 puts it.
#pragma once

#include "meta/group.h"
#include "proto/commands.pb.h"
#include "runtime/world.h"
#include "s3/error.h"

namespace hamster::s3::ops {

// The refusal behind an answer other than OK. Pure.
S3Error error_of(const proto::Answer& answer);

inline constexpr int kMaxProposals = 3;  // of one command, while its outcome is unknown

// Proposes the command; again, under the same request id, while its outcome is unknown. The answer
// may be a refusal. `group` outlives the call. kUnknownOutcome in the end is ServiceUnavailable:
// the client, too, must ask what became of it.
struct Committed {
    proto::Answer answer;
    [[nodiscard]] bool ok() const { return answer.status() == proto::Answer::OK; }
};
runtime::Task<S3Result<Committed>> commit(runtime::World* world, meta::Group* group,
                                          proto::Command command);

}  // namespace hamster::s3::ops
