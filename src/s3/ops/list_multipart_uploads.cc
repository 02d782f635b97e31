#include "s3/ops/list_multipart_uploads.h"

#include <utility>

#include "base/encoding.h"
#include "s3/ops/access.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/owner.h"

namespace hamster::s3::ops {

namespace {

std::string upload_text(const proto::Upload& upload) {
    return base::hex_encode(base::as_bytes(upload.upload_id()));
}

S3Result<> write_upload(XmlWriter& xml, ListingText& text, const meta::UploadEntry& entry,
                        OwnerNames& owners) {
    const proto::Upload& upload = entry.upload;
    TRY_ASSIGN(const Owner* owner, owners.find(upload.owner()));
    xml.open("Upload");
    text.element(xml, "Key", entry.key);
    xml.element("UploadId", upload_text(upload));
    write_owner(xml, "Initiator", *owner);
    write_owner(xml, "Owner", *owner);
    xml.element("StorageClass", "STANDARD");
    xml.element("Initiated", base::iso8601(upload.initiated_ms()));
    if (upload.checksum_algorithm() != proto::CHECKSUM_NONE) {
        xml.element("ChecksumAlgorithm", algorithm_name(upload.checksum_algorithm()));
        xml.element("ChecksumType", type_name(upload.checksum_type()));
    }
    xml.close();
    return {};
}

void write_next_markers(XmlWriter& xml, ListingText& text, const UploadPage& page) {
    if (!page.truncated) return;
    text.element(xml, "NextKeyMarker", page.last);
    const bool after_upload = !page.last_is_prefix && !page.entries.empty();
    xml.element("NextUploadIdMarker",
                after_upload ? upload_text(page.entries.back().upload) : std::string());
}

}  // namespace

S3Result<UploadListing> parse_upload_listing(const RequestHead& head) {
    UploadListing out;
    out.prefix = param_or_empty(head, "prefix");
    out.delimiter = param_or_empty(head, "delimiter");
    out.key_marker = param_or_empty(head, "key-marker");
    TRY_ASSIGN(out.limit, count_argument("max-uploads", head.param("max-uploads"), kMaxListed));
    TRY_ASSIGN(out.url, wants_url_encoding(head));
    out.from = position_after_key(out.key_marker, out.prefix, out.delimiter);
    const std::string_view marker = param_or_empty(head, "upload-id-marker");
    if (out.key_marker.empty() || marker.empty()) return out;
    out.upload_marker_text = marker;
    out.upload_marker = base::UploadId::from_hex(marker);
    if (!out.upload_marker) {
        return invalid_argument("upload-id-marker", marker, "Invalid uploadId marker");
    }
    out.from = {out.key_marker, false};  // inside a key, not after a prefix
    return out;
}

S3Result<std::string> render_uploads(const std::string& bucket, const UploadListing& listing,
                                     const UploadPage& page, const meta::View& view) {
    ListingText text(listing.url);
    XmlWriter xml(1024 + page.entries.size() * 512);
    xml.open_root("ListMultipartUploadsResult");
    xml.element("Bucket", bucket);
    text.element(xml, "KeyMarker", listing.key_marker);
    xml.element("UploadIdMarker", listing.upload_marker_text);
    write_next_markers(xml, text, page);
    text.optional_element(xml, "Delimiter", listing.delimiter);
    text.element(xml, "Prefix", listing.prefix);
    if (listing.url) xml.element("EncodingType", "url");
    xml.element("MaxUploads", listing.limit);
    xml.element("IsTruncated", page.truncated);
    OwnerNames owners(&view);
    for (const meta::UploadEntry& entry : page.entries) {
        TRY(write_upload(xml, text, entry, owners));
    }
    text.common_prefixes(xml, page.prefixes);
    xml.close();
    return std::move(xml).take();
}

runtime::Task<S3Result<Reply>> list_multipart_uploads(Context* context,
                                                      const VerifiedRequest* request,
                                                      RequestBody*) {
    CO_TRY_ASSIGN(const UploadListing listing, parse_upload_listing(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    UploadPage page;
    if (listing.limit > 0) {
        meta::ListQuery query{listing.prefix, listing.delimiter, listing.from.after,
                              listing.from.is_prefix, listing.limit};
        auto found = access.view.list_uploads(access.id, query, listing.upload_marker);
        if (!found) co_return std::unexpected(from_error(found.error()));
        page = std::move(*found);
    }
    CO_TRY_ASSIGN(std::string xml, render_uploads(request->bucket(), listing, page, access.view));
    co_return xml_reply(std::move(xml));
}

}  // namespace hamster::s3::ops
