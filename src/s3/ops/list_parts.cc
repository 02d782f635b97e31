#include "s3/ops/list_parts.h"

#include <utility>

#include "base/encoding.h"
#include "s3/ops/access.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/uploads.h"

namespace hamster::s3::ops {

std::string render_parts(const std::string& bucket, const proto::Upload& upload, const Owner& owner,
                         const PartPage& page) {
    XmlWriter xml(1024 + page.parts.size() * 256);
    xml.open_root("ListPartsResult");
    xml.element("Bucket", bucket);
    xml.element("Key", upload.key());
    xml.element("UploadId", base::hex_encode(base::as_bytes(upload.upload_id())));
    write_owner(xml, "Initiator", owner);
    write_owner(xml, "Owner", owner);
    xml.element("StorageClass", "STANDARD");
    xml.element("PartNumberMarker", page.marker);
    xml.element("NextPartNumberMarker", page.parts.empty() ? 0 : page.parts.back().number());
    xml.element("MaxParts", page.limit);
    xml.element("IsTruncated", page.truncated);
    if (upload.checksum_algorithm() != proto::CHECKSUM_NONE) {
        xml.element("ChecksumAlgorithm", algorithm_name(upload.checksum_algorithm()));
        xml.element("ChecksumType", type_name(upload.checksum_type()));
    }
    for (const proto::Part& part : page.parts) {
        xml.open("Part");
        xml.element("PartNumber", part.number());
        xml.element("LastModified", base::iso8601(part.modified_ms()));
        xml.element("ETag", '"' + base::hex_encode(base::as_bytes(part.md5())) + '"');
        xml.element("Size", part.size());
        add_checksum_element(xml, part.checksum(), 0);
        xml.close();
    }
    xml.close();
    return std::move(xml).take();
}

runtime::Task<S3Result<Reply>> list_parts(Context* context, const VerifiedRequest* request,
                                          RequestBody*) {
    const RequestHead& head = request->head();
    PartPage page;
    CO_TRY_ASSIGN(const base::UploadId id, requested_upload(head));
    CO_TRY_ASSIGN(page.limit, count_argument("max-parts", head.param("max-parts"), kMaxListed));
    CO_TRY_ASSIGN(page.marker,
                  marker_argument("part-number-marker", head.param("part-number-marker")));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY_ASSIGN(const proto::Upload upload, find_upload(access, request->key(), id));
    if (page.limit > 0) {
        auto found = access.view.parts(id, page.marker, page.limit + 1);
        if (!found) co_return std::unexpected(from_error(found.error()));
        page.parts = std::move(*found);
    }
    page.truncated = page.parts.size() > page.limit;
    if (page.truncated) page.parts.resize(page.limit);
    CO_TRY_ASSIGN(const Owner owner, owner_named(access.view, upload.owner()));
    co_return xml_reply(render_parts(request->bucket(), upload, owner, page));
}

}  // namespace hamster::s3::ops
