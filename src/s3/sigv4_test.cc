// The examples of the S3 API reference, "Signature Calculations".
#include "s3/sigv4.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "s3/auth_header.h"

namespace hamster::s3 {
namespace {

const SigningIdentity kExample{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                               "us-east-1"};
const std::uint64_t kExampleMs = *base::parse_amz_date("20130524T000000Z");

RequestHead example(std::string method, std::string path) {
    RequestHead head;
    head.method = std::move(method);
    head.raw_path = std::move(path);
    head.headers.push_back({"host", "examplebucket.s3.amazonaws.com"});
    return head;
}

std::string signature_of(const RequestHead& head) {
    return parse_authorization(*head.header("authorization")).value().signature;
}

TEST(SigV4, SignsGetObject) {
    RequestHead head = example("GET", "/test.txt");
    head.headers.push_back({"range", "bytes=0-9"});
    sign_request(head, kExample, kExampleMs, kEmptySha256);
    EXPECT_EQ(signature_of(head),
              "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, SignsPutObject) {
    RequestHead head = example("PUT", "/test%24file.text");
    head.headers.push_back({"date", "Fri, 24 May 2013 00:00:00 GMT"});
    head.headers.push_back({"x-amz-storage-class", "REDUCED_REDUNDANCY"});
    sign_request(head, kExample, kExampleMs, sha256_hex("Welcome to Amazon S3."));
    EXPECT_EQ(signature_of(head),
              "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, SignsValuelessAndSortedQueries) {
    RequestHead head = example("GET", "/");
    head.query.push_back({"lifecycle", "", false});
    sign_request(head, kExample, kExampleMs, kEmptySha256);
    EXPECT_EQ(signature_of(head),
              "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

    RequestHead list = example("GET", "/");
    list.query.push_back({"prefix", "J", true});
    list.query.push_back({"max-keys", "2", true});
    sign_request(list, kExample, kExampleMs, kEmptySha256);
    EXPECT_EQ(signature_of(list),
              "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, Presigns) {
    RequestHead head = example("GET", "/test.txt");
    presign_request(head, kExample, kExampleMs, 86400);
    EXPECT_EQ(*head.param("X-Amz-Signature"),
              "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    EXPECT_NE(target_of(head).find("X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"),
              std::string::npos);
}

TEST(SigV4, SignsChunks) {
    RequestHead head = example("PUT", "/examplebucket/chunkObject.txt");
    head.headers = {{"host", "s3.amazonaws.com"},
                    {"content-encoding", "aws-chunked"},
                    {"content-length", "66824"},
                    {"x-amz-decoded-content-length", "66560"},
                    {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    sign_request(head, kExample, kExampleMs, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    const std::string seed = signature_of(head);
    EXPECT_EQ(seed, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
    const Scope scope{"20130524", "us-east-1"};
    const std::string key = signing_key(kExample.secret, scope);
    const auto chunk = [&](const std::string& before, const std::string& data) {
        return sign(key, chunk_string_to_sign("20130524T000000Z", scope, before, sha256_hex(data)));
    };
    const std::string first = chunk(seed, std::string(65536, 'a'));
    EXPECT_EQ(first, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
    const std::string second = chunk(first, std::string(1024, 'a'));
    EXPECT_EQ(second, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
    EXPECT_EQ(chunk(second, ""),
              "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
}

TEST(SigV4, CanonicalPathNormalisesEscapesAndNothingElse) {
    EXPECT_EQ(canonical_path("/a%2fb/c"), "/a%2Fb/c");
    EXPECT_EQ(canonical_path("/a//b/../c/./d"), "/a//b/../c/./d");
    EXPECT_EQ(canonical_path("/a+b%20c~%7E"), "/a%2Bb%20c~~");
    EXPECT_EQ(canonical_path("/%C3%A4"), "/%C3%A4");
    EXPECT_EQ(canonical_path("/%2525"), "/%2525");
    EXPECT_EQ(canonical_path("/"), "/");
    EXPECT_EQ(canonical_path("/a/"), "/a/");
}

TEST(SigV4, CanonicalQuerySortsRepeatedKeysByValue) {
    const std::vector<QueryParam> query = {
        {"b", "2", true}, {"a", "z", true}, {"a", "", false}, {"a b", "c d", true}};
    EXPECT_EQ(canonical_query(query), "a=&a=z&a%20b=c%20d&b=2");
}

TEST(SigV4, SigningKeyCacheKnowsSecretAndDate) {
    SigningKeyCache cache(64);
    const Scope today{"20130524", "us-east-1"};
    const std::string first = cache.get("AK", "one", today);
    EXPECT_EQ(first, signing_key("one", today));
    EXPECT_EQ(cache.get("AK", "two", today), signing_key("two", today));
    const Scope tomorrow{"20130525", "us-east-1"};
    EXPECT_EQ(cache.get("AK", "one", tomorrow), signing_key("one", tomorrow));
    EXPECT_EQ(cache.get("AK", "one", today), first);
}

TEST(AuthHeader, RefusesWhatIsNotExactlyV4) {
    const std::string good =
        "AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;x-amz-date,Signature=" +
        std::string(64, 'a');
    const auto claim = parse_authorization(good);
    ASSERT_TRUE(claim.has_value());
    EXPECT_EQ(claim->access_key_id, "AK");
    EXPECT_EQ(claim->signed_headers, (std::vector<std::string>{"host", "x-amz-date"}));

    const auto code_of = [](const std::string& value) {
        return parse_authorization(value).error().code;
    };
    EXPECT_EQ(code_of("AWS AK:sig"), ErrorCode::kInvalidRequest);
    EXPECT_EQ(code_of("AWS4-ECDSA-P256-SHA256 x"), ErrorCode::kInvalidRequest);
    EXPECT_EQ(code_of("Bearer x"), ErrorCode::kInvalidArgument);
    const auto broken = ErrorCode::kAuthorizationHeaderMalformed;
    EXPECT_EQ(code_of("AWS4-HMAC-SHA256"), broken);
    EXPECT_EQ(code_of(good + ",Signature=" + std::string(64, 'b')), broken);
    EXPECT_EQ(code_of(good + ",Other=1"), broken);
    const auto replaced = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        return text;
    };
    EXPECT_EQ(code_of(replaced("/s3/", "/ec2/")), broken);
    EXPECT_EQ(code_of(replaced("aws4_request", "aws5_request")), broken);
    EXPECT_EQ(code_of(replaced("host;x-amz-date", "x-amz-date;host")), broken);
    EXPECT_EQ(code_of(replaced("host;", "Host;")), broken);
    EXPECT_EQ(code_of(replaced("host;x-amz-date", "host;host")), broken);
    EXPECT_EQ(code_of(replaced("20130524", "2013052x")), broken);
    EXPECT_EQ(code_of(replaced("aaaa", "AAAA")), broken);
}

}  // namespace
}  // namespace hamster::s3
