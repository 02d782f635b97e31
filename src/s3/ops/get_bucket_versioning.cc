#include "s3/ops/get_bucket_versioning.h"

#include "s3/ops/access.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_bucket_versioning(Context* context,
                                                     const VerifiedRequest* request, RequestBody*) {
    auto opened = co_await open_bucket(context, request);
    CO_TRY(opened);
    XmlWriter xml;
    xml.open_root("VersioningConfiguration");
    xml.close();
    co_return xml_reply(std::move(xml).take());
}

}  // namespace hamster::s3::ops
