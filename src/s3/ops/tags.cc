#include "s3/ops/tags.h"

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "meta/limits.h"
#include "s3/ops/arguments.h"

namespace hamster::s3::ops {

namespace {

std::size_t characters(std::string_view utf8) {
    return static_cast<std::size_t>(std::ranges::count_if(
        utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// Letters, digits, spaces and + - = . _ : / @; beyond ASCII every character passes, since telling
// letters from the rest needs tables of Unicode that change every year.
bool has_allowed_characters(std::string_view text) {
    constexpr std::string_view kPunctuation = "+-=._:/@ \t\n\r";
    return base::is_valid_utf8(text) && std::ranges::all_of(text, [=](char c) {
               const bool alphanumeric =
                   (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
               return alphanumeric || static_cast<unsigned char>(c) >= 0x80 ||
                      kPunctuation.find(c) != std::string_view::npos;
           });
}

std::unexpected<S3Error> invalid_tag(std::string message, const proto::Pair* tag = nullptr) {
    S3Error error{ErrorCode::kInvalidTag, std::move(message), {}, {}};
    if (tag != nullptr) {
        error.details.emplace_back("TagKey", tag->name());
    }
    return std::unexpected(std::move(error));
}

void add_tag(Tags& tags, std::string key, std::string value) {
    proto::Pair* tag = tags.Add();
    tag->set_name(std::move(key));
    tag->set_value(std::move(value));
}

}  // namespace

S3Result<> check_tags(const Tags& tags) {
    if (tags.size() > static_cast<int>(meta::kMaxTags)) {
        return invalid_tag("Object tags cannot be greater than 10");
    }
    std::set<std::string_view> seen;
    for (const proto::Pair& tag : tags) {
        if (!seen.insert(tag.name()).second) {
            return invalid_tag("Cannot provide multiple Tags with the same key", &tag);
        }
        const bool good_key = !tag.name().empty() && has_allowed_characters(tag.name()) &&
                              characters(tag.name()) <= kMaxTagKeyChars;
        if (!good_key) return invalid_tag("The TagKey you have provided is invalid");
        if (tag.name().starts_with("aws:")) {
            return invalid_tag("System tags cannot be added/updated by requester", &tag);
        }
        const bool good_value =
            has_allowed_characters(tag.value()) && characters(tag.value()) <= kMaxTagValueChars;
        if (!good_value) return invalid_tag("The TagValue you have provided is invalid", &tag);
    }
    return {};
}

S3Result<Tags> parse_tag_header(std::string_view header) {
    const auto malformed = [&] {
        return invalid_argument(
            "x-amz-tagging", header,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates.");
    };
    Tags tags;
    std::string_view rest = header;
    while (!rest.empty()) {
        const auto ampersand = rest.find('&');
        const std::string_view pair = rest.substr(0, ampersand);
        rest =
            ampersand == std::string_view::npos ? std::string_view() : rest.substr(ampersand + 1);
        const auto equals = pair.find('=');
        auto key = base::uri_decode(pair.substr(0, equals), true);
        auto value = base::uri_decode(
            equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
        if (!key || !value || key->empty()) return malformed();
        const bool repeated =
            std::ranges::any_of(tags, [&](const proto::Pair& tag) { return tag.name() == *key; });
        if (repeated) return malformed();
        add_tag(tags, std::move(*key), std::move(*value));
    }
    TRY(check_tags(tags));
    return tags;
}

S3Result<Tags> parse_tag_xml(std::string_view body) {
    TRY_ASSIGN(const XmlElement root, parse_xml(body, "Tagging"));
    const XmlElement* set = root.child("TagSet");
    if (set == nullptr || root.children.size() != 1) return refuse(ErrorCode::kMalformedXml);
    Tags tags;
    for (const XmlElement& element : set->children) {
        if (element.name != "Tag") return refuse(ErrorCode::kMalformedXml);
        TRY_ASSIGN(auto key, element.text_of("Key"));
        TRY_ASSIGN(auto value, element.text_of("Value"));
        if (!key || !value) return refuse(ErrorCode::kMalformedXml);
        add_tag(tags, std::move(*key), std::move(*value));
    }
    TRY(check_tags(tags));
    return tags;
}

std::string render_tags(const Tags& tags) {
    XmlWriter xml;
    xml.open_root("Tagging");
    xml.open("TagSet");
    for (const proto::Pair& tag : tags) {
        xml.open("Tag");
        xml.element("Key", tag.name());
        xml.element("Value", tag.value());
        xml.close();
    }
    xml.close();
    xml.close();
    return std::move(xml).take();
}

}  // namespace hamster::s3::ops
