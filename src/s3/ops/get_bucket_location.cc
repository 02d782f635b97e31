#include "s3/ops/get_bucket_location.h"

#include <string_view>

#include "s3/ops/access.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_bucket_location(Context* context, const VerifiedRequest* request,
                                                   RequestBody*) {
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    const std::string& region = access.bucket.region();
    XmlWriter xml;
    xml.open_root("LocationConstraint");
    if (region != "us-east-1") xml.text(region);
    xml.close();
    co_return xml_reply(std::move(xml).take());
}

}  // namespace hamster::s3::ops
