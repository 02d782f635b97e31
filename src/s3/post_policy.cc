#include "s3/post_policy.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <set>
#include <string>

#include "base/encoding.h"

namespace hamster::s3 {

namespace {

namespace json = boost::json;

constexpr std::size_t kMaxPolicyDepth = 8;  // levels of JSON

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

std::unexpected<S3Error> bad_document(const char* why) {
    return refuse(ErrorCode::kInvalidPolicyDocument, std::string("Invalid Policy: ") + why);
}

std::unexpected<S3Error> denied(std::string why) {
    return refuse(ErrorCode::kAccessDenied, "Invalid according to Policy: " + std::move(why));
}

class PolicyCheck {
  public:
    PolicyCheck(const FormFields& fields, std::string_view bucket)
        : fields_(fields), bucket_(bucket) {}

    S3Result<> condition(const json::value& value) {
        if (const json::object* object = value.if_object()) {
            if (object->size() != 1) return bad_document("a condition must have one property.");
            const auto& [name, wanted] = *object->begin();
            if (!wanted.is_string()) return bad_document("a value must be a string.");
            return equal(lower(name), wanted.get_string());
        }
        const json::array* array = value.if_array();
        if (array == nullptr || array->size() != 3 || !(*array)[0].is_string()) {
            return bad_document("a condition is an object or a list of three.");
        }
        const std::string kind = lower((*array)[0].get_string());
        if (kind == "content-length-range") return length_range((*array)[1], (*array)[2]);
        if (!(*array)[1].is_string() || !(*array)[2].is_string()) {
            return bad_document("a value must be a string.");
        }
        const std::string_view field = (*array)[1].get_string();
        const std::string_view wanted = (*array)[2].get_string();
        if (!field.starts_with('$')) return bad_document("a field begins with $.");
        const std::string name = lower(field.substr(1));
        if (kind == "eq") return equal(name, wanted);
        if (kind == "starts-with") return starts_with(name, wanted);
        return bad_document("unknown condition.");
    }

    S3Result<> no_extra_fields() const {
        for (const auto& [name, value] : fields_) {
            if (name == "policy" || name == "x-amz-signature" || name == "file") continue;
            if (name.starts_with("x-ignore-") || named_.contains(name)) continue;
            return denied("Extra input fields: " + name);
        }
        return {};
    }

    [[nodiscard]] const PolicyLimits& limits() const { return limits_; }

  private:
    std::string_view value_of(const std::string& name) {
        named_.insert(name);
        // The bucket is the one that will be written, whatever a field of that name says.
        if (name == "bucket") return bucket_;
        return field_of(fields_, name).value_or("");
    }
    S3Result<> equal(const std::string& name, std::string_view wanted) {
        if (value_of(name) == wanted) return {};
        return denied("Policy Condition failed: [\"eq\", \"$" + name + "\", \"" +
                      std::string(wanted) + "\"]");
    }
    S3Result<> starts_with(const std::string& name, std::string_view prefix) {
        if (value_of(name).starts_with(prefix)) return {};
        return denied("Policy Condition failed: [\"starts-with\", \"$" + name + "\", \"" +
                      std::string(prefix) + "\"]");
    }
    static S3Result<std::uint64_t> number(const json::value& value) {
        if (value.is_int64() && value.get_int64() >= 0) {
            return static_cast<std::uint64_t>(value.get_int64());
        }
        if (value.is_uint64()) return value.get_uint64();
        if (value.is_string()) {
            if (const auto parsed = base::parse_u64(value.get_string())) return *parsed;
        }
        return bad_document("content-length-range takes numbers.");
    }
    S3Result<> length_range(const json::value& low, const json::value& high) {
        const auto min_bytes = number(low);
        const auto max_bytes = number(high);
        if (!min_bytes) return std::unexpected(min_bytes.error());
        if (!max_bytes) return std::unexpected(max_bytes.error());
        limits_.min_bytes = std::max(limits_.min_bytes, *min_bytes);
        limits_.max_bytes = std::min(limits_.max_bytes, *max_bytes);
        return {};
    }

    const FormFields& fields_;
    std::string_view bucket_;
    std::set<std::string> named_;
    PolicyLimits limits_;
};

S3Result<> check_expiration(const json::object& document, std::uint64_t now_ms) {
    const json::value* expiration = document.if_contains("expiration");
    if (expiration == nullptr || !expiration->is_string()) {
        return bad_document("expiration is missing.");
    }
    const auto expires_ms = base::parse_iso8601(std::string_view(expiration->get_string()));
    if (!expires_ms) return bad_document("expiration must be an ISO 8601 date.");
    if (now_ms > *expires_ms) return denied("Policy expired.");
    return {};
}

}  // namespace

S3Result<PolicyLimits> check_policy(std::string_view policy, const FormFields& fields,
                                    std::string_view bucket, std::uint64_t now_ms) {
    const auto text = base::base64_decode(policy);
    if (!text) return bad_document("not base64.");
    json::parse_options options;
    options.max_depth = kMaxPolicyDepth;
    boost::system::error_code error;
    const json::value parsed = json::parse(*text, error, {}, options);
    const json::object* document = error ? nullptr : parsed.if_object();
    if (document == nullptr) return bad_document("not JSON.");
    if (auto r = check_expiration(*document, now_ms); !r) return std::unexpected(r.error());

    const json::value* conditions = document->if_contains("conditions");
    if (conditions == nullptr || !conditions->is_array()) {
        return bad_document("conditions are missing.");
    }
    // Whoever signed it named the bucket or meant any of theirs; a field cannot contradict.
    if (const auto field = field_of(fields, "bucket"); field && *field != bucket) {
        return denied("the bucket differs.");
    }
    PolicyCheck check(fields, bucket);
    for (const json::value& condition : conditions->get_array()) {
        if (auto r = check.condition(condition); !r) return std::unexpected(r.error());
    }
    if (auto r = check.no_extra_fields(); !r) return std::unexpected(r.error());
    return check.limits();
}

}  // namespace hamster::s3
