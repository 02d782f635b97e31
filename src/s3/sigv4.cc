#include "s3/sigv4.h"

#include <algorithm>
#include <functional>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace hamster::s3 {

namespace {

std::string hmac(std::string_view key, std::string_view text) {
    return crypto::hmac_sha256(base::as_bytes(key), base::as_bytes(text));
}

}  // namespace

std::string sha256_hex(std::string_view text) {
    return base::hex_encode(base::as_bytes(crypto::sha256(base::as_bytes(text))));
}

std::string signing_key(std::string_view secret, const Scope& scope) {
    const std::string date = hmac("AWS4" + std::string(secret), scope.date);
    return hmac(hmac(hmac(date, scope.region), "s3"), "aws4_request");
}

const std::string& SigningKeyCache::get(std::string_view access_key_id, std::string_view secret,
                                        const Scope& scope) {
    auto& set = sets_[std::hash<std::string_view>{}(access_key_id) % kSets];
    for (auto entry = set.begin(); entry != set.end(); ++entry) {
        if (entry->access_key_id == access_key_id && entry->secret == secret &&
            entry->scope.date == scope.date && entry->scope.region == scope.region) {
            set.splice(set.begin(), set, entry);
            return set.front().key;
        }
    }
    set.push_front(
        {std::string(access_key_id), std::string(secret), scope, signing_key(secret, scope)});
    if (set.size() > std::max<std::size_t>(1, limit_ / kSets)) set.pop_back();
    return set.front().key;
}

std::string canonical_path(std::string_view raw_path) {
    std::string out;
    out.reserve(raw_path.size());
    std::size_t start = 0;
    while (start <= raw_path.size()) {
        const std::size_t slash = std::min(raw_path.find('/', start), raw_path.size());
        // Escapes were checked when the address was parsed; an odd one stays as it is.
        const std::string_view segment = raw_path.substr(start, slash - start);
        const auto decoded = base::uri_decode(segment);
        out += decoded ? base::uri_encode(*decoded, false) : std::string(segment);
        if (slash == raw_path.size()) break;
        out += '/';
        start = slash + 1;
    }
    return out;
}

std::string canonical_query(const std::vector<QueryParam>& query) {
    std::vector<std::pair<std::string, std::string>> pairs;
    pairs.reserve(query.size());
    for (const QueryParam& param : query) {
        if (param.name == "X-Amz-Signature") continue;
        pairs.emplace_back(base::uri_encode(param.name, false),
                           base::uri_encode(param.value, false));
    }
    std::ranges::sort(pairs);
    std::string out;
    for (const auto& [name, value] : pairs) {
        if (!out.empty()) out += '&';
        out += name;
        out += '=';
        out += value;
    }
    return out;
}

namespace {

// Runs of spaces become one.
void append_folded(std::string& out, std::string_view value) {
    bool space = false;
    for (const char c : value) {
        if (c == ' ' && space) continue;
        space = c == ' ';
        out += c;
    }
}

std::string joined(const std::vector<std::string_view>& names) {
    std::string out;
    for (const std::string_view name : names) {
        if (!out.empty()) out += ';';
        out += name;
    }
    return out;
}

}  // namespace

std::string canonical_request(const RequestHead& head,
                              const std::vector<std::string_view>& signed_headers,
                              std::string_view payload_hash) {
    std::string out;
    out.reserve(512);
    out += head.method;
    out += '\n';
    out += canonical_path(head.raw_path);
    out += '\n';
    out += canonical_query(head.query);
    out += '\n';
    for (const std::string_view name : signed_headers) {
        out += name;
        out += ':';
        append_folded(out, head.header(name).value_or(""));
        out += '\n';
    }
    out += '\n';
    out += joined(signed_headers);
    out += '\n';
    out += payload_hash;
    return out;
}

std::string string_to_sign(std::string_view amz_date, const Scope& scope,
                           std::string_view canonical) {
    std::string out(kAlgorithm);
    out += '\n';
    out += amz_date;
    out += '\n';
    out += scope.text();
    out += '\n';
    out += sha256_hex(canonical);
    return out;
}

std::string sign(std::string_view key, std::string_view text) {
    return base::hex_encode(base::as_bytes(hmac(key, text)));
}

namespace {

std::string chained(std::string_view algorithm, std::string_view amz_date, const Scope& scope,
                    std::string_view previous_signature) {
    std::string out(algorithm);
    out += '\n';
    out += amz_date;
    out += '\n';
    out += scope.text();
    out += '\n';
    out += previous_signature;
    out += '\n';
    return out;
}

}  // namespace

std::string chunk_string_to_sign(std::string_view amz_date, const Scope& scope,
                                 std::string_view previous_signature, std::string_view data_hash) {
    std::string out = chained("AWS4-HMAC-SHA256-PAYLOAD", amz_date, scope, previous_signature);
    out += kEmptySha256;
    out += '\n';
    out += data_hash;
    return out;
}

std::string trailer_string_to_sign(std::string_view amz_date, const Scope& scope,
                                   std::string_view previous_signature,
                                   std::string_view trailers_hash) {
    std::string out = chained("AWS4-HMAC-SHA256-TRAILER", amz_date, scope, previous_signature);
    out += trailers_hash;
    return out;
}

namespace {

void set_header(RequestHead& head, std::string name, std::string value) {
    std::erase_if(head.headers, [&](const Header& h) { return h.name == name; });
    head.headers.push_back({std::move(name), std::move(value)});
}

std::vector<std::string_view> sorted_names(const RequestHead& head) {
    std::vector<std::string_view> names;
    names.reserve(head.headers.size());
    for (const Header& h : head.headers) names.push_back(h.name);
    std::ranges::sort(names);
    return names;
}

}  // namespace

void sign_request(RequestHead& head, const SigningIdentity& who, std::uint64_t unix_ms,
                  std::string_view payload_hash) {
    const std::string date = base::amz_date(unix_ms);
    const Scope scope{date.substr(0, 8), who.region};
    set_header(head, "x-amz-date", date);
    set_header(head, "x-amz-content-sha256", std::string(payload_hash));
    const auto names = sorted_names(head);
    const std::string text =
        string_to_sign(date, scope, canonical_request(head, names, payload_hash));
    std::string value(kAlgorithm);
    value += " Credential=" + who.access_key_id + "/" + scope.text();
    value += ", SignedHeaders=" + joined(names);
    value += ", Signature=" + sign(signing_key(who.secret, scope), text);
    head.headers.push_back({"authorization", std::move(value)});
}

void presign_request(RequestHead& head, const SigningIdentity& who, std::uint64_t unix_ms,
                     std::uint64_t expires_seconds) {
    const std::string date = base::amz_date(unix_ms);
    const Scope scope{date.substr(0, 8), who.region};
    const auto names = sorted_names(head);
    const auto add = [&head](std::string name, std::string value) {
        head.query.push_back({std::move(name), std::move(value), true});
    };
    add("X-Amz-Algorithm", std::string(kAlgorithm));
    add("X-Amz-Credential", who.access_key_id + "/" + scope.text());
    add("X-Amz-Date", date);
    add("X-Amz-Expires", std::to_string(expires_seconds));
    add("X-Amz-SignedHeaders", joined(names));
    const std::string text =
        string_to_sign(date, scope, canonical_request(head, names, kUnsignedPayload));
    add("X-Amz-Signature", sign(signing_key(who.secret, scope), text));
}

std::string target_of(const RequestHead& head) {
    std::string out = head.raw_path;
    char separator = '?';
    for (const QueryParam& param : head.query) {
        out += separator;
        separator = '&';
        out += base::uri_encode(param.name, false);
        if (!param.has_value && param.value.empty()) continue;
        out += '=';
        out += base::uri_encode(param.value, false);
    }
    return out;
}

}  // namespace hamster::s3
