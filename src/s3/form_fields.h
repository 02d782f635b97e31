// The fields of a POST form (browser upload) as a request. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "s3/auth_header.h"
#include "s3/error.h"
#include "s3/request.h"

namespace hamster::s3 {

// In the order sent, the file left out; names lower case, each once.
using FormFields = std::vector<std::pair<std::string, std::string>>;

std::optional<std::string_view> field_of(const FormFields& fields, std::string_view name);

// The signature that the fields carry. AccessDenied when there is none or when the head carries
// another authentication or x-amz-* headers, which no policy covers.
S3Result<Claim> claim_of_form(const RequestHead& head, const FormFields& fields);

// ${filename} in any field becomes the name of the uploaded file.
void substitute_file_name(FormFields& fields, std::string_view file_name);

// A head whose headers are the form's fields (acl -> x-amz-acl, tagging XML -> x-amz-tagging), so
// that PutObject's code reads them. success_action_status, success_action_redirect and redirect
// keep their names.
S3Result<RequestHead> head_of_form(const RequestHead& head, const FormFields& fields);

}  // namespace hamster::s3
