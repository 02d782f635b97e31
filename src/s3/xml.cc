#include "s3/xml.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <pugixml.hpp>

#include "base/assert.h"
#include "base/encoding.h"

namespace hamster::s3 {

namespace {

constexpr std::string_view kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

// True for bytes that must not stand in text as they are.
constexpr bool is_special(char c) {
    return c == '&' || c == '<' || c == '>' || c == '"' || c == '\'' ||
           (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n');
}

void append_special(std::string& out, char c) {
    switch (c) {
        case '&':
            out += "&amp;";
            return;
        case '<':
            out += "&lt;";
            return;
        case '>':
            out += "&gt;";
            return;
        case '"':
            out += "&quot;";
            return;
        case '\'':
            out += "&#39;";
            return;
        default:
            break;
    }
    fmt::format_to(std::back_inserter(out), "&#x{:x};", static_cast<unsigned>(c));
}

}  // namespace

void append_xml_escaped(std::string& out, std::string_view text) {
    std::size_t plain = 0;  // start of the run not yet copied
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_special(text[i])) continue;
        out.append(text.substr(plain, i - plain));
        append_special(out, text[i]);
        plain = i + 1;
    }
    out.append(text.substr(plain));
}

XmlWriter::XmlWriter(std::size_t reserve) {
    out_.reserve(reserve);
    out_ += kDeclaration;
}

void XmlWriter::open(std::string_view name) {
    out_ += '<';
    out_ += name;
    out_ += '>';
    open_.push_back(name);
}

void XmlWriter::open_root(std::string_view name) {
    HAMSTER_ASSERT(open_.empty(), name);
    open_with(name, "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"");
}

void XmlWriter::open_with(std::string_view name, std::string_view attributes) {
    out_ += '<';
    out_ += name;
    out_ += ' ';
    out_ += attributes;
    out_ += '>';
    open_.push_back(name);
}

void XmlWriter::close() {
    HAMSTER_ASSERT(!open_.empty());
    out_ += "</";
    out_ += open_.back();
    out_ += '>';
    open_.pop_back();
}

void XmlWriter::element(std::string_view name, std::string_view value) {
    out_ += '<';
    out_ += name;
    out_ += '>';
    append_xml_escaped(out_, value);
    out_ += "</";
    out_ += name;
    out_ += '>';
}

void XmlWriter::element(std::string_view name, std::uint64_t value) {
    char digits[20];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
    element(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

void XmlWriter::empty_element(std::string_view name) {
    out_ += '<';
    out_ += name;
    out_ += "/>";
}

void XmlWriter::text(std::string_view value) {
    HAMSTER_ASSERT(!open_.empty());
    append_xml_escaped(out_, value);
}

void XmlWriter::raw(std::string_view fragment) { out_ += fragment; }

std::string XmlWriter::take() && {
    HAMSTER_ASSERT(open_.empty(), open_.size());
    return std::move(out_);
}

const XmlElement* XmlElement::child(std::string_view child_name) const {
    for (const XmlElement& c : children) {
        if (c.name == child_name) return &c;
    }
    return nullptr;
}

std::size_t XmlElement::count(std::string_view child_name) const {
    std::size_t n = 0;
    for (const XmlElement& c : children) n += c.name == child_name ? 1 : 0;
    return n;
}

S3Result<std::optional<std::string>> XmlElement::text_of(std::string_view child_name) const {
    const XmlElement* found = child(child_name);
    if (found == nullptr) return std::optional<std::string>();
    if (count(child_name) != 1 || !found->children.empty()) {
        return refuse(ErrorCode::kMalformedXml);
    }
    return std::optional<std::string>(found->text);
}

namespace {

// The code point of a character reference's inside ("#x1F", "#31"); nullopt when it is none that
// XML text of ours may hold. NUL would cut strings short inside the parser.
bool is_good_reference(std::string_view body) {
    if (body == "amp" || body == "lt" || body == "gt" || body == "quot" || body == "apos") {
        return true;
    }
    if (!body.starts_with('#')) return false;
    body.remove_prefix(1);
    const bool hex = body.starts_with('x');
    if (hex) body.remove_prefix(1);
    std::uint32_t code = 0;
    const auto [end, error] =
        std::from_chars(body.data(), body.data() + body.size(), code, hex ? 16 : 10);
    if (body.empty() || error != std::errc() || end != body.data() + body.size()) return false;
    return code != 0 && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

// What pugixml would let pass: DOCTYPE (skipped), unknown entities (left as text), NUL. CDATA and
// comments hold no references.
bool is_acceptable_text(std::string_view text) {
    if (!base::is_valid_utf8(text) || text.find('\0') != std::string_view::npos) return false;
    std::size_t i = 0;
    while (i < text.size()) {
        i = text.find_first_of("&<", i);
        if (i == std::string_view::npos) return true;
        const std::string_view rest = text.substr(i);
        std::size_t skip = 1;
        if (rest.starts_with("<!--")) {
            skip = rest.find("-->", 4);
        } else if (rest.starts_with("<![CDATA[")) {
            skip = rest.find("]]>", 9);
        } else if (rest.starts_with("<!")) {
            return false;
        } else if (rest.starts_with('&')) {
            skip = rest.find(';');
            if (skip == std::string_view::npos || !is_good_reference(rest.substr(1, skip - 1))) {
                return false;
            }
        }
        if (skip == std::string_view::npos) return false;
        i += skip;
    }
    return true;
}

bool is_white(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Namespace declarations must be S3's; xsi:type and the like are harmless.
bool has_good_attributes(const pugi::xml_node& node) {
    for (const pugi::xml_attribute& attribute : node.attributes()) {
        const std::string_view name = attribute.name();
        if (name == "xmlns" && attribute.value() != kS3Namespace) return false;
    }
    return true;
}

class Converter {
  public:
    // Depth is bounded, so recursion is.
    bool convert(const pugi::xml_node& node, XmlElement& out, std::size_t depth) {
        if (depth > kMaxXmlDepth || ++elements_ > kMaxXmlElements) return false;
        out.name = node.name();
        if (out.name.find(':') != std::string::npos || !has_good_attributes(node)) return false;
        for (const pugi::xml_node& inner : node.children()) {
            switch (inner.type()) {
                case pugi::node_element:
                    if (!convert(inner, out.children.emplace_back(), depth + 1)) return false;
                    break;
                case pugi::node_pcdata:
                case pugi::node_cdata:
                    out.text += inner.value();
                    break;
                default:
                    return false;
            }
        }
        if (out.children.empty()) return true;
        if (!is_white(out.text)) return false;  // mixed content
        out.text.clear();
        return true;
    }

  private:
    std::size_t elements_ = 0;
};

}  // namespace

S3Result<XmlElement> parse_xml(std::string_view text, std::string_view root) {
    if (!is_acceptable_text(text)) return refuse(ErrorCode::kMalformedXml);
    pugi::xml_document document;
    const unsigned flags = pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol |
                           pugi::parse_ws_pcdata_single | pugi::parse_wconv_attribute;
    const auto parsed = document.load_buffer(text.data(), text.size(), flags, pugi::encoding_utf8);
    if (!parsed) return refuse(ErrorCode::kMalformedXml);
    const pugi::xml_node top = document.first_child();
    if (top.type() != pugi::node_element || top.next_sibling() || top.name() != root) {
        return refuse(ErrorCode::kMalformedXml);
    }
    XmlElement element;
    if (!Converter().convert(top, element, 1)) return refuse(ErrorCode::kMalformedXml);
    return element;
}

}  // namespace hamster::s3
