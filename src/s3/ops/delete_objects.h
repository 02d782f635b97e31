// POST /bucket?delete: up to 1000 keys, each with its own outcome.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/commands.pb.h"
#include "s3/context.h"
#include "s3/error.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> delete_objects(Context* context, const VerifiedRequest* request,
                                              RequestBody* body);

inline constexpr std::size_t kMaxDeletedKeys = 1000;
inline constexpr std::size_t kMaxDeleteBodyBytes = 4ULL << 20;  // 1000 keys of 1 KiB, escaped
inline constexpr std::size_t kDeletesAtOnce = 64;               // commands in flight per request

struct ObjectToDelete {
    std::string key;
    std::optional<std::string> version;  // as the client wrote it
    proto::Precondition precondition;
};
struct DeleteList {
    bool quiet = false;
    std::vector<ObjectToDelete> objects;
};
// MalformedXML for anything but <Delete> with 1..1000 well-formed objects. Pure.
S3Result<DeleteList> parse_delete_list(std::string_view body);

struct DeleteOutcome {
    std::optional<S3Error> error;
    proto::Answer answer;
};
// <DeleteResult>; outcomes parallel to the list. Pure.
std::string render_delete_result(const DeleteList& list,
                                 const std::vector<DeleteOutcome>& outcomes);

// InvalidRequest unless something vouches for the body: Content-MD5, a checksum, or a signed
// payload hash.
S3Result<> check_body_is_vouched_for(const RequestHead& head, const RequestBody& body);

}  // namespace hamster::s3::ops
