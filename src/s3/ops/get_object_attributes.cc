#include "s3/ops/get_object_attributes.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "s3/ops/access.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/read_object.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

namespace {

constexpr std::string_view kName = "x-amz-object-attributes";

S3Result<> take_attribute(std::string_view name, Attributes& out) {
    const std::pair<std::string_view, bool*> known[] = {
        {"ETag", &out.etag},         {"Checksum", &out.checksum},
        {"ObjectParts", &out.parts}, {"StorageClass", &out.storage_class},
        {"ObjectSize", &out.size},
    };
    for (const auto& [text, flag] : known) {
        if (text == name) {
            *flag = true;
            return {};
        }
    }
    return invalid_argument(kName, name, "Invalid attribute name specified.");
}

S3Result<> take_attributes(std::string_view list, Attributes& out) {
    while (!list.empty()) {
        const auto comma = list.find(',');
        std::string_view name = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
        while (name.starts_with(' ')) name.remove_prefix(1);
        while (name.ends_with(' ')) name.remove_suffix(1);
        TRY(take_attribute(name, out));
    }
    return {};
}

// Single parts are shown only when they have checksums of their own.
void write_parts(XmlWriter& xml, const Attributes& wanted, const proto::Version& version) {
    const auto count = static_cast<std::uint32_t>(version.parts_size());
    xml.open("ObjectParts");
    xml.element("PartsCount", count);
    const std::uint32_t first = std::min(wanted.part_marker, count);
    const std::uint32_t end = first + std::min(count - first, wanted.max_parts);
    if (version.checksum().algorithm() != proto::CHECKSUM_NONE) {
        xml.element("PartNumberMarker", wanted.part_marker);
        xml.element("NextPartNumberMarker", end > first ? end : 0);
        xml.element("MaxParts", wanted.max_parts);
        xml.element("IsTruncated", end < count);
        for (std::uint32_t i = first; i < end; ++i) {
            const proto::Part& part = version.parts(static_cast<int>(i));
            xml.open("Part");
            add_checksum_element(xml, part.checksum(), 0);
            xml.element("PartNumber", i + 1);
            xml.element("Size", part.size());
            xml.close();
        }
    }
    xml.close();
}

}  // namespace

S3Result<Attributes> parse_attributes(const RequestHead& head) {
    Attributes out;
    bool found = false;
    for (const Header& header : head.headers) {
        if (header.name != kName) continue;
        TRY(take_attributes(header.value, out));
        found = found || !header.value.empty();
    }
    if (!found) {
        return invalid_argument(kName, "",
                                "The x-amz-object-attributes header is required and must name at "
                                "least one attribute.");
    }
    TRY_ASSIGN(out.max_parts,
               count_argument("x-amz-max-parts", head.header("x-amz-max-parts"), kMaxListed));
    TRY_ASSIGN(out.part_marker, marker_argument("x-amz-part-number-marker",
                                                head.header("x-amz-part-number-marker")));
    return out;
}

std::string render_attributes(const Attributes& wanted, const proto::Version& version) {
    XmlWriter xml;
    xml.open_root("GetObjectAttributesResponse");
    if (wanted.etag) xml.element("ETag", version.etag());  // unquoted, unlike everywhere else
    if (wanted.checksum && version.checksum().algorithm() != proto::CHECKSUM_NONE) {
        xml.open("Checksum");
        add_checksum_element(xml, version.checksum(),
                             static_cast<std::size_t>(version.parts_size()));
        xml.element("ChecksumType", type_name(version.checksum().type()));
        xml.close();
    }
    if (wanted.parts && version.multipart()) write_parts(xml, wanted, version);
    if (wanted.storage_class) xml.element("StorageClass", "STANDARD");
    if (wanted.size) xml.element("ObjectSize", version.size());
    xml.close();
    return std::move(xml).take();
}

runtime::Task<S3Result<Reply>> get_object_attributes(Context* context,
                                                     const VerifiedRequest* request, RequestBody*) {
    CO_TRY_ASSIGN(const Attributes wanted, parse_attributes(request->head()));
    CO_TRY_ASSIGN(const auto id, requested_version(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY_ASSIGN(const proto::Version version, find_version(access, request->key(), id));
    Reply reply = xml_reply(render_attributes(wanted, version));
    reply.header("Last-Modified", base::http_date(version.modified_ms()));
    add_version_header(reply, version.version_id());
    co_return reply;
}

}  // namespace hamster::s3::ops
