#include "s3/ops/list_objects.h"

#include <utility>

#include "s3/ops/arguments.h"

namespace hamster::s3::ops {

S3Result<ObjectListing> parse_list_v1(const RequestHead& head) {
    TRY_ASSIGN(ObjectListing listing, parse_object_listing(head));
    listing.with_owner = true;
    listing.from =
        position_after_key(param_or_empty(head, "marker"), listing.prefix, listing.delimiter);
    return listing;
}

std::string render_list_v1(const RequestHead& head, const std::string& bucket,
                           const ObjectListing& listing, const ObjectRows& rows) {
    ListingText text(listing.url);
    XmlWriter xml(rows.contents.size() + rows.prefixes.size() + 1024);
    xml.open_root("ListBucketResult");
    xml.element("Name", bucket);
    text.element(xml, "Prefix", listing.prefix);
    text.element(xml, "Marker", param_or_empty(head, "marker"));
    if (rows.end.truncated && !listing.delimiter.empty()) {
        text.element(xml, "NextMarker", rows.end.last);
    }
    xml.element("MaxKeys", listing.limit);
    text.optional_element(xml, "Delimiter", listing.delimiter);
    if (listing.url) xml.element("EncodingType", "url");
    xml.element("IsTruncated", rows.end.truncated);
    xml.raw(rows.contents);
    xml.raw(rows.prefixes);
    xml.close();
    return std::move(xml).take();
}

runtime::Task<S3Result<Reply>> list_objects(Context* context, const VerifiedRequest* request,
                                            RequestBody*) {
    CO_TRY_ASSIGN(const ObjectListing listing, parse_list_v1(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY_ASSIGN(const ObjectRows rows, render_objects(access, listing));
    Reply reply = xml_reply(render_list_v1(request->head(), request->bucket(), listing, rows));
    reply.header("x-amz-bucket-region", access.bucket.region());
    co_return reply;
}

}  // namespace hamster::s3::ops
