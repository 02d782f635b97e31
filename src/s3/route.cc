#include "s3/route.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace hamster::s3 {

namespace {

struct Row {
    Level level;
    std::string_view method;
    std::string_view subresource;  // query key; "" none
    Action action;
};

using enum Action;

constexpr std::array kRows = {
    Row{Level::kService, "GET", "", kListBuckets},
    Row{Level::kBucket, "GET", "", kListObjects},  // list-type=2 makes it kListObjectsV2
    Row{Level::kBucket, "PUT", "", kCreateBucket},
    Row{Level::kBucket, "HEAD", "", kHeadBucket},
    Row{Level::kBucket, "DELETE", "", kDeleteBucket},
    Row{Level::kBucket, "GET", "location", kGetBucketLocation},
    Row{Level::kBucket, "GET", "versions", kListObjectVersions},
    Row{Level::kBucket, "GET", "uploads", kListMultipartUploads},
    Row{Level::kBucket, "GET", "versioning", kGetBucketVersioning},
    Row{Level::kBucket, "GET", "acl", kGetBucketAcl},
    Row{Level::kBucket, "POST", "delete", kDeleteObjects},
    Row{Level::kObject, "PUT", "", kPutObject},  // with x-amz-copy-source: kCopyObject
    Row{Level::kObject, "GET", "", kGetObject},
    Row{Level::kObject, "HEAD", "", kHeadObject},
    Row{Level::kObject, "DELETE", "", kDeleteObject},
    Row{Level::kObject, "GET", "attributes", kGetObjectAttributes},
    Row{Level::kObject, "GET", "tagging", kGetObjectTagging},
    Row{Level::kObject, "PUT", "tagging", kPutObjectTagging},
    Row{Level::kObject, "DELETE", "tagging", kDeleteObjectTagging},
    Row{Level::kObject, "GET", "acl", kGetObjectAcl},
    Row{Level::kObject, "POST", "uploads", kCreateMultipartUpload},
    Row{Level::kObject, "PUT", "uploadId", kUploadPart},  // copy source: kUploadPartCopy
    Row{Level::kObject, "GET", "uploadId", kListParts},
    Row{Level::kObject, "POST", "uploadId", kCompleteMultipartUpload},
    Row{Level::kObject, "DELETE", "uploadId", kAbortMultipartUpload},
};

// Everything S3 knows as a sub-resource, ours and not ours.
constexpr std::array<std::string_view, 41> kSubresources = {"abac",
                                                            "accelerate",
                                                            "acl",
                                                            "analytics",
                                                            "attributes",
                                                            "cors",
                                                            "delete",
                                                            "encryption",
                                                            "intelligent-tiering",
                                                            "inventory",
                                                            "legal-hold",
                                                            "lifecycle",
                                                            "location",
                                                            "logging",
                                                            "metadataConfiguration",
                                                            "metadataInventoryTable",
                                                            "metadataJournalTable",
                                                            "metadataTable",
                                                            "metrics",
                                                            "notification",
                                                            "object-lock",
                                                            "ownershipControls",
                                                            "policy",
                                                            "policyStatus",
                                                            "publicAccessBlock",
                                                            "renameObject",
                                                            "replication",
                                                            "replicationMetrics",
                                                            "requestPayment",
                                                            "restore",
                                                            "retention",
                                                            "select",
                                                            "session",
                                                            "tagging",
                                                            "torrent",
                                                            "uploadId",
                                                            "uploads",
                                                            "versioning",
                                                            "versions",
                                                            "website",
                                                            "append"};

bool is_known_method(std::string_view method) {
    return method == "GET" || method == "PUT" || method == "POST" || method == "DELETE";
}

// The sub-resource a request names; "" none. Two at once would leave it open which was meant.
S3Result<std::string_view> find_subresource(const RequestHead& head) {
    std::string_view found;
    for (const QueryParam& param : head.query) {
        const auto known = std::ranges::find(kSubresources, param.name);
        if (known == kSubresources.end()) continue;
        if (!found.empty()) {
            return refuse(ErrorCode::kInvalidArgument,
                          "Conflicting or repeated sub-resources in the query string.");
        }
        found = *known;
    }
    return found;
}

S3Error not_allowed(const RequestHead& head) {
    S3Error error{ErrorCode::kMethodNotAllowed, {}, {}, {}};
    error.details.emplace_back("Method", head.method);
    error.details.emplace_back("ResourceType", "OBJECT");
    return error;
}

S3Result<Action> refine_list(const RequestHead& head) {
    const auto type = head.param("list-type");
    if (!type || type->empty()) return kListObjects;
    if (*type == "2") return kListObjectsV2;
    return refuse(ErrorCode::kInvalidArgument, "Invalid List Type specified in Request");
}

S3Result<Action> refine(const RequestHead& head, Action action) {
    const bool copies = head.header("x-amz-copy-source").has_value();
    if (action == kPutObject) {
        if (head.has_param("partNumber")) {
            return refuse(ErrorCode::kInvalidArgument,
                          "This operation does not accept partNumber without uploadId");
        }
        return copies ? kCopyObject : kPutObject;
    }
    if (action == kUploadPart) {
        if (!head.has_param("partNumber")) {
            return refuse(ErrorCode::kInvalidArgument,
                          "This operation does not accept uploadId without partNumber");
        }
        return copies ? kUploadPartCopy : kUploadPart;
    }
    if (copies) {
        return refuse(ErrorCode::kInvalidArgument,
                      "You can only specify a copy source header for copy requests.");
    }
    return action == kListObjects ? refine_list(head) : S3Result<Action>(action);
}

bool is_one_of(const auto& name, const auto& names) {
    return std::ranges::find(names, name) != std::ranges::end(names);
}

// Headers that mean the same whether or not we look at them, or that the operations handle.
constexpr std::array<std::string_view, 38> kHandledHeaders = {
    "x-amz-acl",
    "x-amz-api-version",
    "x-amz-bypass-governance-retention",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-mode",
    "x-amz-checksum-type",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-expected-bucket-owner",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
    "x-amz-max-parts",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-attributes",
    "x-amz-optional-object-attributes",
    "x-amz-part-number-marker",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-source-expected-bucket-owner",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-trailer",
    "x-amz-user-agent",
    "x-amz-website-redirect-location"};

S3Result<> not_implemented(std::string_view name) {
    S3Error error{ErrorCode::kNotImplemented, {}, {}, {}};
    error.details.emplace_back("Header", std::string(name));
    return std::unexpected(std::move(error));
}

// Buckets here are what S3 calls "bucket owner enforced": ACLs that say just that are accepted.
S3Result<> check_acl(std::string_view value, Action action) {
    if (value == "private") return {};
    if (action != kCreateBucket && value == "bucket-owner-full-control") return {};
    return refuse(ErrorCode::kAccessControlListNotSupported);
}

S3Result<> check_header(const Header& header, Action action) {
    const std::string_view name = header.name;
    if (!name.starts_with("x-amz-") || name.starts_with("x-amz-meta-")) return {};
    if (name == "x-amz-acl") return check_acl(header.value, action);
    if (is_one_of(name, kHandledHeaders)) return {};
    if (name.starts_with("x-amz-grant-")) {
        return refuse(ErrorCode::kAccessControlListNotSupported);
    }
    if (name.starts_with("x-amz-object-lock-")) {
        return refuse(ErrorCode::kInvalidRequest, "Bucket is missing Object Lock Configuration");
    }
    if (name == "x-amz-bucket-object-lock-enabled" && header.value == "false") return {};
    if (name == "x-amz-object-ownership" && header.value == "BucketOwnerEnforced") return {};
    if (name == "x-amz-security-token") return refuse(ErrorCode::kInvalidToken);
    return not_implemented(name);
}

}  // namespace

bool takes_body(Action action) {
    static constexpr std::array kTakers = {
        kCreateBucket, kDeleteObjects,          kPostObject, kPutObject, kPutObjectTagging,
        kUploadPart,   kCompleteMultipartUpload};
    return is_one_of(action, kTakers);
}

bool is_form_upload(const RequestHead& head, Level level) {
    return level == Level::kBucket && head.method == "POST" && !head.has_param("delete") &&
           head.header("content-type").value_or("").starts_with("multipart/form-data");
}

S3Result<Action> route(const RequestHead& head, Level level) {
    if (is_form_upload(head, level)) return kPostObject;
    auto subresource = find_subresource(head);
    if (!subresource) return std::unexpected(subresource.error());
    for (const Row& row : kRows) {
        if (row.level == level && row.method == head.method && row.subresource == *subresource) {
            return refine(head, row.action);
        }
    }
    if (!subresource->empty() && is_known_method(head.method)) {
        return refuse(ErrorCode::kNotImplemented, "This operation is not implemented.");
    }
    if (level == Level::kBucket && head.method == "POST") {
        S3Error error{ErrorCode::kPreconditionFailed, {}, {}, {}};
        error.details.emplace_back("Condition",
                                   "Bucket POST must be of the enclosure-type multipart/form-data");
        return std::unexpected(std::move(error));
    }
    return std::unexpected(not_allowed(head));
}

S3Result<> check_headers(const RequestHead& head, Action action) {
    for (const Header& header : head.headers) {
        if (auto checked = check_header(header, action); !checked) return checked;
    }
    return {};
}

}  // namespace hamster::s3
