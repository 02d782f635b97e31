#include "s3/route.h"

#include <gtest/gtest.h>

#include "s3/bucket_name.h"
#include "s3/http_parser.h"

namespace hamster::s3 {
namespace {

RequestHead head_of(const std::string& method, const std::string& target,
                    const std::string& headers = {}) {
    auto parsed = parse_head(method + " " + target + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n");
    EXPECT_TRUE(parsed.has_value() && parsed->has_value()) << target;
    return std::move((*parsed)->head);
}

S3Result<Action> routed(const std::string& method, const std::string& target,
                        const std::string& headers = {}) {
    const RequestHead head = head_of(method, target, headers);
    const auto address = parse_address(head, "");
    if (!address) return std::unexpected(address.error());
    return route(head, address->level);
}

ErrorCode refused(const std::string& method, const std::string& target,
                  const std::string& headers = {}) {
    const auto action = routed(method, target, headers);
    EXPECT_FALSE(action.has_value()) << method << " " << target;
    return action ? ErrorCode::kInternalError : action.error().code;
}

TEST(Route, NamesExactlyOneAction) {
    using enum Action;
    const std::string copy = "x-amz-copy-source: /a/b\r\n";
    EXPECT_EQ(routed("GET", "/").value(), kListBuckets);
    EXPECT_EQ(routed("GET", "/bkt").value(), kListObjects);
    EXPECT_EQ(routed("GET", "/bkt/?list-type=2&prefix=a").value(), kListObjectsV2);
    EXPECT_EQ(routed("GET", "/bkt?versions").value(), kListObjectVersions);
    EXPECT_EQ(routed("GET", "/bkt?uploads").value(), kListMultipartUploads);
    EXPECT_EQ(routed("GET", "/bkt?location=").value(), kGetBucketLocation);
    EXPECT_EQ(routed("POST", "/bkt?delete").value(), kDeleteObjects);
    EXPECT_EQ(routed("POST", "/bkt", "Content-Type: multipart/form-data; boundary=x\r\n").value(),
              kPostObject);
    EXPECT_EQ(routed("PUT", "/bkt").value(), kCreateBucket);
    EXPECT_EQ(routed("PUT", "/bkt/k?x-id=PutObject").value(), kPutObject);
    EXPECT_EQ(routed("PUT", "/bkt/k", copy).value(), kCopyObject);
    EXPECT_EQ(routed("PUT", "/bkt/k?partNumber=1&uploadId=u").value(), kUploadPart);
    EXPECT_EQ(routed("PUT", "/bkt/k?partNumber=1&uploadId=u", copy).value(), kUploadPartCopy);
    EXPECT_EQ(routed("POST", "/bkt/k?uploads").value(), kCreateMultipartUpload);
    EXPECT_EQ(routed("POST", "/bkt/k?uploadId=u").value(), kCompleteMultipartUpload);
    EXPECT_EQ(routed("GET", "/bkt/k?partNumber=1").value(), kGetObject);
    EXPECT_EQ(routed("GET", "/bkt/k?attributes").value(), kGetObjectAttributes);
    EXPECT_EQ(routed("DELETE", "/bkt/k?tagging&versionId=null").value(), kDeleteObjectTagging);
}

TEST(Route, RefusesTheRest) {
    for (const char* sub : {"acl",
                            "policy",
                            "lifecycle",
                            "cors",
                            "encryption",
                            "website",
                            "logging",
                            "notification",
                            "replication",
                            "requestPayment",
                            "versioning",
                            "object-lock",
                            "accelerate",
                            "analytics",
                            "inventory",
                            "metrics",
                            "ownershipControls",
                            "publicAccessBlock",
                            "intelligent-tiering",
                            "tagging"}) {
        EXPECT_EQ(refused("PUT", std::string("/bkt?") + sub), ErrorCode::kNotImplemented) << sub;
    }
    for (const char* sub : {"acl", "retention", "legal-hold"}) {
        EXPECT_EQ(refused("PUT", std::string("/bkt/k?") + sub), ErrorCode::kNotImplemented) << sub;
    }
    EXPECT_EQ(refused("POST", "/bkt/k?restore"), ErrorCode::kNotImplemented);
    EXPECT_EQ(refused("POST", "/bkt/k?select"), ErrorCode::kNotImplemented);
    EXPECT_EQ(refused("GET", "/bkt/k?torrent"), ErrorCode::kNotImplemented);
    EXPECT_EQ(refused("POST", "/"), ErrorCode::kMethodNotAllowed);
    EXPECT_EQ(refused("POST", "/bkt/k"), ErrorCode::kMethodNotAllowed);
    EXPECT_EQ(refused("PATCH", "/bkt/k"), ErrorCode::kMethodNotAllowed);
    EXPECT_EQ(refused("POST", "/bkt"), ErrorCode::kPreconditionFailed);
    EXPECT_EQ(refused("GET", "/bkt?acl&policy"), ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused("GET", "/bkt?acl&acl"), ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused("GET", "/bkt?list-type=3"), ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused("PUT", "/bkt/k?uploadId=u"), ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused("PUT", "/bkt/k?partNumber=1"), ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused("GET", "/bkt/k", "x-amz-copy-source: a/b\r\n"), ErrorCode::kInvalidArgument);
}

TEST(Route, RefusesHeadersItWouldHaveToIgnore) {
    const auto code = [](const std::string& header) {
        const auto checked =
            check_headers(head_of("PUT", "/bkt/k", header + "\r\n"), Action::kPutObject);
        return checked ? std::optional<ErrorCode>() : checked.error().code;
    };
    EXPECT_EQ(code("x-amz-acl: private"), std::nullopt);
    EXPECT_EQ(code("x-amz-acl: bucket-owner-full-control"), std::nullopt);
    EXPECT_EQ(code("x-amz-meta-anything: v"), std::nullopt);
    EXPECT_EQ(code("x-amz-acl: public-read"), ErrorCode::kAccessControlListNotSupported);
    EXPECT_EQ(code("x-amz-grant-read: id=1"), ErrorCode::kAccessControlListNotSupported);
    EXPECT_EQ(code("x-amz-server-side-encryption: AES256"), ErrorCode::kNotImplemented);
    EXPECT_EQ(code("x-amz-server-side-encryption-customer-key: k"), ErrorCode::kNotImplemented);
    EXPECT_EQ(code("x-amz-object-lock-mode: GOVERNANCE"), ErrorCode::kInvalidRequest);
    EXPECT_EQ(code("x-amz-mfa: 1"), ErrorCode::kNotImplemented);
    EXPECT_EQ(code("x-amz-security-token: t"), ErrorCode::kInvalidToken);
    EXPECT_EQ(code("x-amz-write-offset-bytes: 1"), ErrorCode::kNotImplemented);
    EXPECT_EQ(code("x-amz-never-heard-of: 1"), ErrorCode::kNotImplemented);
}

TEST(Address, DecodesOnceAndNormalisesNothing) {
    const auto key_of = [](const std::string& target) {
        return parse_address(head_of("GET", target), "").value().key;
    };
    EXPECT_EQ(key_of("/bkt/a%20b+c"), "a b+c");
    EXPECT_EQ(key_of("/bkt//a/../b/"), "/a/../b/");
    EXPECT_EQ(key_of("/bkt/%252F%2F"), "%2F/");
    EXPECT_EQ(key_of("/bkt/%00"), std::string(1, '\0'));
    const auto code_of = [](const std::string& target) {
        return parse_address(head_of("GET", target), "").error().code;
    };
    EXPECT_EQ(code_of("/bkt/%ff"), ErrorCode::kInvalidUri);
    EXPECT_EQ(code_of("/bkt/%"), ErrorCode::kInvalidUri);
    EXPECT_EQ(code_of("/bkt/" + std::string(1025, 'a')), ErrorCode::kKeyTooLong);
    EXPECT_EQ(code_of("/Bkt/a"), ErrorCode::kInvalidBucketName);
    EXPECT_EQ(code_of("/..%2Fx/a"), ErrorCode::kInvalidBucketName);
    EXPECT_EQ(code_of("//a"), ErrorCode::kInvalidBucketName);
}

TEST(Address, FindsTheBucketInTheHost) {
    RequestHead head = head_of("GET", "/k/ey");
    const auto with_host = [&](const std::string& host) {
        head.headers[0].value = host;
        return parse_address(head, "s3.test").value();
    };
    EXPECT_EQ(with_host("My-bkt.S3.test:9000").bucket, "my-bkt");
    EXPECT_EQ(with_host("my.bkt.s3.test").bucket, "my.bkt");
    EXPECT_EQ(with_host("my-bkt.s3.test").key, "k/ey");
    head = head_of("GET", "/bkt/key");
    EXPECT_EQ(with_host("s3.test").bucket, "bkt");
    EXPECT_EQ(with_host("xs3.test").bucket, "bkt");
    EXPECT_EQ(with_host("127.0.0.1:9000").bucket, "bkt");
    EXPECT_EQ(with_host("[::1]:9000").bucket, "bkt");
}

TEST(BucketName, FollowsTheRules) {
    for (const char* good : {"abc", "a.b.c", "a-b", "123", "my-bucket.2026", "1.2.3"}) {
        EXPECT_TRUE(is_valid_bucket_name(good)) << good;
    }
    for (const char* bad : {"", "ab", "Abc", "a_b", "-abc", "abc-", ".abc", "abc.", "a..b",
                            "192.168.5.4", "xn--abc", "sthree-abc", "amzn-s3-demo-x", "abc-s3alias",
                            "abc--ol-s3", "abc.mrap", "abc--x-s3", "a/b", "a b"}) {
        EXPECT_FALSE(is_valid_bucket_name(bad)) << bad;
    }
    EXPECT_TRUE(is_valid_bucket_name(std::string(63, 'a')));
    EXPECT_FALSE(is_valid_bucket_name(std::string(64, 'a')));
}

}  // namespace
}  // namespace hamster::s3
