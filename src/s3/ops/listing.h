// What the listings share: encoding-type=url, opaque continuation tokens, where a marker continues.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "meta/view.h"
#include "s3/error.h"
#include "s3/request.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

inline constexpr std::uint32_t kMaxListed = 1000;  // keys, versions, uploads or parts of one page

// encoding-type: absent (false) or "url" (true); anything else is InvalidArgument.
S3Result<bool> wants_url_encoding(const RequestHead& head);

// Form encoding as AWS does it in listings: letters, digits and - . _ * / stay, a space becomes +.
void append_listing_encoded(std::string& out, std::string_view text);

// Writes keys and prefixes as this listing spells them.
class ListingText {
  public:
    explicit ListingText(bool url) : url_(url) {}
    void element(XmlWriter& xml, std::string_view name, std::string_view value);
    // The element, only if there is a value.
    void optional_element(XmlWriter& xml, std::string_view name, std::string_view value);
    // <CommonPrefixes><Prefix>
    void common_prefixes(XmlWriter& xml, const std::vector<std::string>& prefixes);
    [[nodiscard]] bool url() const { return url_; }

  private:
    bool url_;
    std::string scratch_;
};

// Where a listing goes on.
struct Position {
    std::string after;
    bool is_prefix = false;  // skip all that starts with `after`
    bool operator==(const Position&) const = default;
};
// A token that only we read: base64 of a version byte, the kind and the position.
std::string make_token(const Position& position);
// nullopt when it is none of ours.
std::optional<Position> read_token(std::string_view token);

// A key named by the client (marker, start-after, key-marker). One that lies inside a common
// prefix goes on after that whole prefix, as the prefix has been listed before it.
Position position_after_key(std::string_view key, std::string_view prefix,
                            std::string_view delimiter);

}  // namespace hamster::s3::ops
