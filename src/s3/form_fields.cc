#include "s3/form_fields.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "s3/xml.h"

namespace hamster::s3 {

namespace {

// <Tagging><TagSet><Tag><Key/><Value/></Tag>...</TagSet></Tagging> -> key=value&...
S3Result<std::string> tagging_header(std::string_view xml) {
    auto root = parse_xml(xml, "Tagging");
    if (!root) return std::unexpected(root.error());
    const XmlElement* set = root->child("TagSet");
    if (set == nullptr) return refuse(ErrorCode::kMalformedXml);
    std::string out;
    for (const XmlElement& tag : set->children) {
        auto key = tag.text_of("Key");
        auto value = tag.text_of("Value");
        if (tag.name != "Tag" || !key || !value || !*key || !*value) {
            return refuse(ErrorCode::kMalformedXml);
        }
        if (!out.empty()) out += '&';
        out += base::uri_encode(**key, false);
        out += '=';
        out += base::uri_encode(**value, false);
    }
    return out;
}

// Fields that are about the form or its signature, not about the object.
bool is_form_only(std::string_view name) {
    static constexpr std::array<std::string_view, 9> kNames = {"key",
                                                               "policy",
                                                               "bucket",
                                                               "x-amz-algorithm",
                                                               "x-amz-credential",
                                                               "x-amz-signature",
                                                               "x-amz-date",
                                                               "awsaccesskeyid",
                                                               "submit"};
    return std::ranges::find(kNames, name) != kNames.end() || name.starts_with("x-ignore-");
}

}  // namespace

std::optional<std::string_view> field_of(const FormFields& fields, std::string_view name) {
    for (const auto& [field, value] : fields) {
        if (field == name) return value;
    }
    return std::nullopt;
}

S3Result<Claim> claim_of_form(const RequestHead& head, const FormFields& fields) {
    const bool other = head.header("authorization") || is_presigned(head) || is_presigned_v2(head);
    if (other) return refuse(ErrorCode::kInvalidArgument, "Only one auth mechanism allowed.");
    for (const Header& header : head.headers) {
        if (header.name.starts_with("x-amz-")) {
            return refuse(ErrorCode::kAccessDenied,
                          "There were headers present in the request which were not signed");
        }
    }
    if (field_of(fields, "awsaccesskeyid") || field_of(fields, "signature")) {
        return refuse(ErrorCode::kInvalidRequest,
                      "The authorization mechanism you have provided is not supported. Please use "
                      "AWS4-HMAC-SHA256.");
    }
    const auto algorithm = field_of(fields, "x-amz-algorithm");
    const auto credential = field_of(fields, "x-amz-credential");
    const auto date = field_of(fields, "x-amz-date");
    const auto signature = field_of(fields, "x-amz-signature");
    if (!field_of(fields, "policy") || !algorithm || !credential || !date || !signature) {
        return refuse(ErrorCode::kAccessDenied);
    }
    Claim claim;
    if (*algorithm != kAlgorithm || !parse_credential(*credential, claim)) {
        return refuse(ErrorCode::kInvalidArgument, "The form's credential is mal-formed.");
    }
    if (!base::parse_amz_date(*date)) {
        return refuse(ErrorCode::kInvalidArgument, "The form's x-amz-date is mal-formed.");
    }
    claim.amz_date = *date;
    claim.signature = *signature;
    return claim;
}

void substitute_file_name(FormFields& fields, std::string_view file_name) {
    static constexpr std::string_view kVariable = "${filename}";
    for (auto& [name, value] : fields) {
        if (name == "policy" || name.starts_with("x-amz-signature")) continue;
        std::size_t at = 0;
        while ((at = value.find(kVariable, at)) != std::string::npos) {
            value.replace(at, kVariable.size(), file_name);
            at += file_name.size();
        }
    }
}

S3Result<RequestHead> head_of_form(const RequestHead& head, const FormFields& fields) {
    RequestHead out;
    out.method = head.method;
    out.target = head.target;
    out.raw_path = head.raw_path;
    out.http_minor = head.http_minor;
    out.keep_alive = head.keep_alive;
    for (const auto& [name, value] : fields) {
        if (is_form_only(name)) continue;
        if (name == "acl") {
            out.headers.push_back({"x-amz-acl", value});
        } else if (name == "tagging") {
            auto tagging = tagging_header(value);
            if (!tagging) return std::unexpected(tagging.error());
            out.headers.push_back({"x-amz-tagging", std::move(*tagging)});
        } else {
            out.headers.push_back({name, value});
        }
    }
    for (const std::string_view kept : {"host", "user-agent"}) {
        if (const auto value = head.header(kept)) {
            out.headers.push_back({std::string(kept), std::string(*value)});
        }
    }
    return out;
}

}  // namespace hamster::s3
