#include "s3/address.h"

#include "base/encoding.h"
#include "meta/limits.h"
#include "s3/bucket_name.h"

namespace hamster::s3 {

namespace {

std::string lower_host_without_port(std::string_view host) {
    if (host.starts_with('[')) return {};  // IPv6 literal: never a bucket
    std::string out(host.substr(0, host.find(':')));
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

// The bucket that Host names under `domain`; empty when it names none.
std::string bucket_of_host(const RequestHead& head, std::string_view domain) {
    if (domain.empty()) return {};
    std::string host = lower_host_without_port(head.header("host").value_or(""));
    const std::size_t tail = domain.size() + 1;
    if (host.size() <= tail || !host.ends_with(domain)) return {};
    if (host[host.size() - tail] != '.') return {};
    host.resize(host.size() - tail);
    return host;
}

S3Result<std::string> decode_key(std::string_view raw) {
    auto key = base::uri_decode(raw);
    if (!key || !base::is_valid_utf8(*key)) return refuse(ErrorCode::kInvalidUri);
    if (auto checked = check_key(*key); !checked) return std::unexpected(checked.error());
    return std::move(*key);
}

S3Result<std::string> decode_bucket(std::string_view raw) {
    auto name = base::uri_decode(raw);
    if (!name) return refuse(ErrorCode::kInvalidUri);
    if (!is_valid_bucket_name(*name)) {
        S3Error error{ErrorCode::kInvalidBucketName, {}, {}, {}};
        if (base::is_valid_utf8(*name)) error.details.emplace_back("BucketName", *name);
        return std::unexpected(std::move(error));
    }
    return std::move(*name);
}

}  // namespace

S3Result<> check_key(std::string_view key) {
    if (key.size() > meta::kMaxKeyBytes) {
        S3Error error{ErrorCode::kKeyTooLong, {}, {}, {}};
        error.details.emplace_back("Size", std::to_string(key.size()));
        error.details.emplace_back("MaxSizeAllowed", std::to_string(meta::kMaxKeyBytes));
        return std::unexpected(std::move(error));
    }
    if (key.empty() || !base::is_valid_utf8(key)) return refuse(ErrorCode::kInvalidUri);
    return {};
}

S3Result<Address> parse_address(const RequestHead& head, std::string_view domain) {
    std::string_view rest = head.raw_path;
    if (!rest.starts_with('/')) return refuse(ErrorCode::kInvalidUri);
    rest.remove_prefix(1);

    Address address;
    const std::string host_bucket = bucket_of_host(head, domain);
    std::string_view raw_bucket = host_bucket;
    if (host_bucket.empty()) {
        if (rest.empty()) return address;
        const std::size_t slash = rest.find('/');
        raw_bucket = rest.substr(0, slash);
        rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    }
    auto bucket = decode_bucket(raw_bucket);
    if (!bucket) return std::unexpected(bucket.error());
    address.bucket = std::move(*bucket);
    address.level = Level::kBucket;
    if (rest.empty()) return address;

    auto key = decode_key(rest);
    if (!key) return std::unexpected(key.error());
    address.key = std::move(*key);
    address.level = Level::kObject;
    return address;
}

}  // namespace hamster::s3
