// POST /bucket/key?uploadId: the listed parts become the object. Repeating it answers the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "s3/context.h"
#include "s3/ops/access.h"

namespace hamster::s3::ops {

inline constexpr std::size_t kMaxCompleteBodyBytes = 8ULL << 20;  // 10,000 parts with checksums

runtime::Task<S3Result<Reply>> complete_multipart_upload(Context* context,
                                                         const VerifiedRequest* request,
                                                         RequestBody* body);

// <CompleteMultipartUpload> with 1..10,000 parts. Order, existence and sizes are apply's to judge.
// MalformedXML, InvalidArgument for part numbers out of range. Pure.
S3Result<std::vector<proto::CompletedPart>> parse_part_list(std::string_view body);

// x-amz-checksum-<algorithm> and -type as claims about the whole object; x-amz-mp-object-size.
S3Result<proto::CompleteUpload> parse_complete_headers(const RequestHead& head);

// Holds the claims against how the upload was made (null: it has ended; apply knows how): a
// COMPOSITE upload needs each part's checksum; claims of another algorithm are dropped when the
// upload only has the default one. Pure.
S3Result<> reconcile_checksums(const proto::Upload* upload, proto::CompleteUpload& complete);

}  // namespace hamster::s3::ops
