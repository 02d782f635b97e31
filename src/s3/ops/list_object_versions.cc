#include "s3/ops/list_object_versions.h"

#include <utility>

#include "base/encoding.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

namespace {

S3Result<> write_version(XmlWriter& xml, ListingText& text, const meta::VersionEntry& entry,
                         OwnerNames& owners) {
    const proto::Version& version = entry.version;
    TRY_ASSIGN(const Owner* owner, owners.find(version.owner()));
    xml.open(version.delete_marker() ? "DeleteMarker" : "Version");
    text.element(xml, "Key", entry.key);
    xml.element("VersionId", version_text(version.version_id()));
    xml.element("IsLatest", entry.is_latest);
    xml.element("LastModified", base::iso8601(version.modified_ms()));
    if (!version.delete_marker()) {
        xml.element("ETag", '"' + version.etag() + '"');
        if (version.checksum().algorithm() != proto::CHECKSUM_NONE) {
            xml.element("ChecksumAlgorithm", algorithm_name(version.checksum().algorithm()));
            xml.element("ChecksumType", type_name(version.checksum().type()));
        }
        xml.element("Size", version.size());
    }
    write_owner(xml, "Owner", *owner);
    if (!version.delete_marker()) xml.element("StorageClass", "STANDARD");
    xml.close();
    return {};
}

void write_next_markers(XmlWriter& xml, ListingText& text, const VersionPage& page) {
    if (!page.truncated) return;
    text.element(xml, "NextKeyMarker", page.last);
    // After a common prefix there is no version to go on from.
    if (page.last_is_prefix || page.entries.empty()) return;
    xml.element("NextVersionIdMarker", version_text(page.entries.back().version.version_id()));
}

}  // namespace

S3Result<VersionListing> parse_version_listing(const RequestHead& head) {
    VersionListing out;
    out.prefix = param_or_empty(head, "prefix");
    out.delimiter = param_or_empty(head, "delimiter");
    out.key_marker = param_or_empty(head, "key-marker");
    TRY_ASSIGN(out.limit, count_argument("max-keys", head.param("max-keys"), kMaxListed));
    TRY_ASSIGN(out.url, wants_url_encoding(head));
    out.from = position_after_key(out.key_marker, out.prefix, out.delimiter);
    const auto marker = head.param("version-id-marker");
    if (!marker) return out;
    if (out.key_marker.empty()) {
        return invalid_argument("version-id-marker", *marker,
                                "A version-id marker cannot be specified without a key marker.");
    }
    if (marker->empty()) {
        return invalid_argument("version-id-marker", *marker,
                                "A version-id marker cannot be empty.");
    }
    out.version_marker_text = *marker;
    out.version_marker = parse_version_text(*marker);
    if (!out.version_marker) {
        return invalid_argument("version-id-marker", *marker, "Invalid version id specified");
    }
    // Inside a key, not after a prefix.
    out.from = {out.key_marker, false};
    return out;
}

S3Result<std::string> render_versions(const std::string& bucket, const VersionListing& listing,
                                      const VersionPage& page, const meta::View& view) {
    ListingText text(listing.url);
    XmlWriter xml(1024 + page.entries.size() * 400);
    xml.open_root("ListVersionsResult");
    xml.element("Name", bucket);
    text.element(xml, "Prefix", listing.prefix);
    text.element(xml, "KeyMarker", listing.key_marker);
    xml.element("VersionIdMarker", listing.version_marker_text);
    write_next_markers(xml, text, page);
    xml.element("MaxKeys", listing.limit);
    text.optional_element(xml, "Delimiter", listing.delimiter);
    if (listing.url) xml.element("EncodingType", "url");
    xml.element("IsTruncated", page.truncated);
    OwnerNames owners(&view);
    for (const meta::VersionEntry& entry : page.entries) {
        TRY(write_version(xml, text, entry, owners));
    }
    text.common_prefixes(xml, page.prefixes);
    xml.close();
    return std::move(xml).take();
}

runtime::Task<S3Result<Reply>> list_object_versions(Context* context,
                                                    const VerifiedRequest* request, RequestBody*) {
    CO_TRY_ASSIGN(const VersionListing listing, parse_version_listing(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    VersionPage page;
    if (listing.limit > 0) {
        meta::ListQuery query{listing.prefix, listing.delimiter, listing.from.after,
                              listing.from.is_prefix, listing.limit};
        auto found = access.view.list_versions(access.id, query, listing.version_marker);
        if (!found) co_return std::unexpected(from_error(found.error()));
        page = std::move(*found);
    }
    CO_TRY_ASSIGN(std::string xml, render_versions(request->bucket(), listing, page, access.view));
    co_return xml_reply(std::move(xml));
}

}  // namespace hamster::s3::ops
