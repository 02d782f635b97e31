#include "s3/ops/mail_words.h"

#include <algorithm>
#include <optional>

#include "base/encoding.h"

namespace hamster::s3::ops {

namespace {

std::optional<std::string> decode_q(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '_') {
            out += ' ';
        } else if (text[i] == '=') {
            const auto byte = base::hex_decode(text.substr(i + 1, 2));
            if (!byte || byte->size() != 1) return std::nullopt;
            out += *byte;
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

// `word` is what stands between "=?" and "?=": charset?encoding?text.
std::optional<std::string> decode_word(std::string_view word) {
    constexpr std::size_t kHead = 8;  // "UTF-8?B?"
    if (word.size() < kHead) return std::nullopt;
    std::string head(word.substr(0, kHead));
    std::ranges::transform(head, head.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    std::optional<std::string> text;
    if (head == "UTF-8?B?") text = base::base64_decode(word.substr(kHead));
    if (head == "UTF-8?Q?") text = decode_q(word.substr(kHead));
    if (!text || !base::is_valid_utf8(*text)) return std::nullopt;
    return text;
}

}  // namespace

std::string decode_mail_words(std::string_view text) {
    std::string out;
    while (true) {
        const auto start = text.find("=?");
        // The text of Q words may hold no '?', so the first "?=" after the second '?' ends it.
        const auto charset = start == std::string_view::npos ? start : text.find('?', start + 2);
        const auto encoding =
            charset == std::string_view::npos ? charset : text.find('?', charset + 1);
        const auto end =
            encoding == std::string_view::npos ? encoding : text.find("?=", encoding + 1);
        if (end == std::string_view::npos) return out += text;
        const auto word = decode_word(text.substr(start + 2, end - start - 2));
        out += text.substr(0, start);
        out += word ? std::string_view(*word) : text.substr(start, end + 2 - start);
        text.remove_prefix(end + 2);
    }
}

std::string encode_mail_word(std::string_view text) {
    const bool plain =
        std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (plain) return std::string(text);
    return "=?UTF-8?B?" + base::base64_encode(base::as_bytes(text)) + "?=";
}

}  // namespace hamster::s3::ops
