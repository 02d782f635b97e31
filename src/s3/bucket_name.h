// S3's rules for bucket names ("Bucket naming rules" of the S3 User Guide). Pure.
#pragma once

#include <string_view>

namespace hamster::s3 {

bool is_valid_bucket_name(std::string_view name);

}  // namespace hamster::s3
