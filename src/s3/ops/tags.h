// Object tags: the header form (k=v&k2=v2), the XML form, and S3's rules for them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/records.pb.h"
#include "s3/error.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

using Tags = google::protobuf::RepeatedPtrField<proto::Pair>;

inline constexpr std::size_t kMaxTagKeyChars = 128;
inline constexpr std::size_t kMaxTagValueChars = 256;

// x-amz-tagging: a URL query. InvalidArgument when malformed, InvalidTag by the rules.
S3Result<Tags> parse_tag_header(std::string_view header);
// <Tagging><TagSet><Tag>...; MalformedXML, InvalidTag.
S3Result<Tags> parse_tag_xml(std::string_view body);
std::string render_tags(const Tags& tags);
// At most 10, keys unique, 1..128 and 0..256 characters of the allowed set.
S3Result<> check_tags(const Tags& tags);

}  // namespace hamster::s3::ops
