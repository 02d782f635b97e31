#include "s3/ops/object_headers.h"

#include <algorithm>
#include <map>
#include <utility>

#include "meta/limits.h"
#include "s3/ops/arguments.h"
#include "s3/ops/mail_words.h"
#include "s3/ops/tags.h"

namespace hamster::s3::ops {

namespace {

constexpr std::string_view kMetaPrefix = "x-amz-meta-";
constexpr std::string_view kDefaultContentType = "binary/octet-stream";

bool has_control_characters(std::string_view text) {
    return std::ranges::any_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\t') || byte == 0x7F;
    });
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// A header's values, joined as RFC 9110 section 5.2 says when it was repeated.
S3Result<std::map<std::string, std::string>> collect_user_metadata(const RequestHead& head) {
    std::map<std::string, std::string> out;
    std::size_t bytes = 0;
    for (const Header& header : head.headers) {
        if (!header.name.starts_with(kMetaPrefix)) continue;
        const std::string_view name = std::string_view(header.name).substr(kMetaPrefix.size());
        if (name.empty()) continue;
        if (has_control_characters(header.value)) {
            return invalid_argument(header.name, "", "Metadata must not hold control characters");
        }
        auto [row, is_new] = out.try_emplace(std::string(name));
        if (!is_new) row->second += ',';
        row->second += decode_mail_words(header.value);
    }
    for (const auto& [name, value] : out) bytes += name.size() + value.size();
    if (bytes > meta::kMaxUserMetadataBytes) {
        S3Error error{ErrorCode::kMetadataTooLarge, {}, {}, {}};
        error.details.emplace_back("Size", std::to_string(bytes));
        error.details.emplace_back("MaxSizeAllowed", std::to_string(meta::kMaxUserMetadataBytes));
        return std::unexpected(std::move(error));
    }
    return out;
}

S3Result<> copy_header(const RequestHead& head, std::string_view name, std::string* out) {
    const auto value = head.header(name);
    if (!value) return {};
    if (has_control_characters(*value)) {
        return invalid_argument(name, "", "Header values must not hold control characters");
    }
    out->assign(*value);
    return {};
}

S3Result<> copy_website_redirect(const RequestHead& head, proto::ObjectHeaders& out) {
    constexpr std::string_view kName = "x-amz-website-redirect-location";
    constexpr std::size_t kMaxBytes = 2048;
    TRY(copy_header(head, kName, out.mutable_website_redirect()));
    const std::string& target = out.website_redirect();
    if (target.empty()) return {};
    const bool good =
        target.starts_with('/') || target.starts_with("http://") || target.starts_with("https://");
    if (!good || target.size() > kMaxBytes) {
        return refuse(ErrorCode::kInvalidArgument,
                      "The website redirect location must have a prefix of 'http://' or 'https://' "
                      "or '/'.");
    }
    return {};
}

}  // namespace

std::string without_aws_chunked(std::string_view content_encoding) {
    if (content_encoding.find("aws-chunked") == std::string_view::npos) {
        return std::string(content_encoding);
    }
    std::string out;
    while (!content_encoding.empty()) {
        const auto comma = content_encoding.find(',');
        const std::string_view token = trimmed(content_encoding.substr(0, comma));
        content_encoding = comma == std::string_view::npos ? std::string_view()
                                                           : content_encoding.substr(comma + 1);
        if (token == "aws-chunked" || token.empty()) continue;
        if (!out.empty()) out += ',';
        out += token;
    }
    return out;
}

S3Result<> check_storage_class(const RequestHead& head) {
    const auto storage_class = head.header("x-amz-storage-class");
    if (!storage_class || *storage_class == "STANDARD") return {};
    S3Error error{ErrorCode::kInvalidStorageClass, {}, {}, {}};
    error.details.emplace_back("StorageClassRequested", std::string(*storage_class));
    return std::unexpected(std::move(error));
}

S3Result<proto::ObjectHeaders> parse_object_headers(const RequestHead& head) {
    proto::ObjectHeaders out;
    TRY(copy_header(head, "content-type", out.mutable_content_type()));
    TRY(copy_header(head, "cache-control", out.mutable_cache_control()));
    TRY(copy_header(head, "content-disposition", out.mutable_content_disposition()));
    TRY(copy_header(head, "content-encoding", out.mutable_content_encoding()));
    TRY(copy_header(head, "content-language", out.mutable_content_language()));
    TRY(copy_header(head, "expires", out.mutable_expires()));
    out.set_content_encoding(without_aws_chunked(out.content_encoding()));
    TRY(copy_website_redirect(head, out));
    TRY(check_storage_class(head));
    out.set_storage_class("STANDARD");
    TRY_ASSIGN(auto metadata, collect_user_metadata(head));
    for (auto& [name, value] : metadata) {
        proto::Pair* pair = out.add_user_metadata();
        pair->set_name(name);
        pair->set_value(std::move(value));
    }
    if (const auto tagging = head.header("x-amz-tagging")) {
        TRY_ASSIGN(*out.mutable_tags(), parse_tag_header(*tagging));
    }
    return out;
}

S3Result<ResponseOverrides> response_overrides(const RequestHead& head) {
    ResponseOverrides out;
    if (head.query.empty()) return out;
    const std::pair<std::string_view, std::optional<std::string_view>*> fields[] = {
        {"response-content-type", &out.content_type},
        {"response-content-language", &out.content_language},
        {"response-expires", &out.expires},
        {"response-cache-control", &out.cache_control},
        {"response-content-disposition", &out.content_disposition},
        {"response-content-encoding", &out.content_encoding},
    };
    for (const auto& [name, field] : fields) {
        *field = head.param(name);
        if (*field && has_control_characters(**field)) {
            return invalid_argument(name, "", "Header values must not hold control characters");
        }
    }
    return out;
}

void add_object_headers(Reply& reply, const proto::ObjectHeaders& headers,
                        const ResponseOverrides& overrides) {
    const auto add = [&reply](const char* name, const std::optional<std::string_view>& override,
                              std::string_view stored) {
        const std::string_view value = override.value_or(stored);
        if (!value.empty()) reply.header(name, std::string(value));
    };
    add("Cache-Control", overrides.cache_control, headers.cache_control());
    add("Content-Disposition", overrides.content_disposition, headers.content_disposition());
    add("Content-Encoding", overrides.content_encoding, headers.content_encoding());
    add("Content-Language", overrides.content_language, headers.content_language());
    add("Content-Type", overrides.content_type,
        headers.content_type().empty() ? kDefaultContentType
                                       : std::string_view(headers.content_type()));
    add("Expires", overrides.expires, headers.expires());
    for (const proto::Pair& pair : headers.user_metadata()) {
        reply.header(std::string(kMetaPrefix) + pair.name(), encode_mail_word(pair.value()));
    }
    if (headers.tags_size() > 0) {
        reply.header("x-amz-tagging-count", std::to_string(headers.tags_size()));
    }
    if (!headers.website_redirect().empty()) {
        reply.header("x-amz-website-redirect-location", headers.website_redirect());
    }
}

}  // namespace hamster::s3::ops
