// What ListObjects and ListObjectsV2 share: the query they put to the view, and the rows they
// render while the view hands them out.
#pragma once

#include <string>
#include <string_view>

#include "meta/view.h"
#include "s3/context.h"
#include "s3/error.h"
#include "s3/ops/access.h"
#include "s3/ops/listing.h"
#include "s3/ops/owner.h"

namespace hamster::s3::ops {

struct ObjectListing {
    std::string prefix;
    std::string delimiter;
    Position from;
    std::uint32_t limit = kMaxListed;
    bool url = false;
    bool with_owner = false;
};
// prefix, delimiter, max-keys, encoding-type. Pure.
S3Result<ObjectListing> parse_object_listing(const RequestHead& head);

// The rendered rows of one page.
struct ObjectRows {
    std::string contents;  // <Contents> elements
    std::string prefixes;  // <CommonPrefixes> elements
    std::uint32_t count = 0;
    meta::PageEnd end;
};
S3Result<ObjectRows> render_objects(const BucketAccess& access, const ObjectListing& listing);

// One <Contents>. Pure; `owner` null: without.
void append_contents(std::string& out, std::string_view key, const proto::Current& current,
                     const Owner* owner, bool url);

}  // namespace hamster::s3::ops
