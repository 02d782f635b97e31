#include "s3/ops/create_multipart_upload.h"

#include <utility>

#include "s3/ops/access.h"
#include "s3/ops/answer.h"
#include "s3/ops/checksums.h"
#include "s3/ops/object_headers.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

namespace {

proto::Command plan_create(const BucketAccess& access, const std::string& key,
                           const base::UploadId& id, proto::ObjectHeaders headers,
                           const UploadChecksum& checksum) {
    proto::Command command;
    proto::Upload& upload = *command.mutable_create_upload()->mutable_upload();
    upload.set_upload_id(std::string(id.view()));
    upload.set_bucket_id(access.bucket.bucket_id());
    upload.set_key(key);
    upload.set_owner(access.bucket.owner());
    *upload.mutable_headers() = std::move(headers);
    upload.set_checksum_algorithm(checksum.algorithm);
    upload.set_checksum_type(checksum.type);
    return command;
}

std::string render(const VerifiedRequest& request, const base::UploadId& id) {
    XmlWriter xml;
    xml.open_root("InitiateMultipartUploadResult");
    xml.element("Bucket", request.bucket());
    xml.element("Key", request.key());
    xml.element("UploadId", id.hex());
    xml.close();
    return std::move(xml).take();
}

}  // namespace

runtime::Task<S3Result<Reply>> create_multipart_upload(Context* context,
                                                       const VerifiedRequest* request,
                                                       RequestBody*) {
    const RequestHead& head = request->head();
    CO_TRY_ASSIGN(proto::ObjectHeaders headers, parse_object_headers(head));
    CO_TRY_ASSIGN(const UploadChecksum checksum, upload_checksum(head));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    if (context->objects->refuses_bodies()) co_return refuse(ErrorCode::kInsufficientStorage);

    std::array<std::byte, 16> random{};
    context->world->random.fill(random);
    const base::UploadId id{base::uuid_v7(access.group->stamp_now(), random)};
    proto::Command command = plan_create(access, request->key(), id, std::move(headers), checksum);
    auto committed = co_await commit(context->world, access.group, std::move(command));
    CO_TRY_ASSIGN(const Committed outcome, committed);
    if (!outcome.ok()) co_return std::unexpected(error_of(outcome.answer));
    Reply reply = xml_reply(render(*request, id));
    // Only what was asked for is echoed, not the default.
    if (head.header("x-amz-checksum-algorithm")) {
        reply.header("x-amz-checksum-algorithm", std::string(algorithm_name(checksum.algorithm)));
        reply.header("x-amz-checksum-type", std::string(type_name(checksum.type)));
    }
    co_return reply;
}

}  // namespace hamster::s3::ops
