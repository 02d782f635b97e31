// Encoded words of RFC 2047: how S3 carries user metadata beyond ASCII in headers. Pure.
#pragma once

#include <string>
#include <string_view>

namespace hamster::s3::ops {

// Replaces every =?UTF-8?B?...?= and =?UTF-8?Q?...?= by what it stands for; anything else, and
// words that do not decode, stay as they are.
std::string decode_mail_words(std::string_view text);
// ASCII stays as it is; other text becomes one =?UTF-8?B?...?=.
std::string encode_mail_word(std::string_view text);

}  // namespace hamster::s3::ops
