// XML as S3 speaks it. Writing: append only, into one string. Reading: strict. A document with a
// DOCTYPE, an entity beyond the predefined five, a foreign namespace, too much depth or broken
// UTF-8 is refused (MalformedXML), so nothing outside the document can ever be pulled in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "s3/error.h"

namespace hamster::s3 {

inline constexpr std::string_view kS3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/";

// Appends `text` with & < > " ' and control characters escaped. Control characters become &#xN;
// as AWS answers them: keys may hold any.
void append_xml_escaped(std::string& out, std::string_view text);

class XmlWriter {
  public:
    // Starts with the XML declaration. `reserve`: expected size in bytes.
    explicit XmlWriter(std::size_t reserve = 1024);
    // Names must be literals (they are kept until closed).
    void open(std::string_view name);
    // With xmlns of S3; for the root.
    void open_root(std::string_view name);
    // `attributes` verbatim, already escaped: xmlns:xsi="..." xsi:type="..."
    void open_with(std::string_view name, std::string_view attributes);
    void close();
    void element(std::string_view name, std::string_view value);
    void element(std::string_view name, const char* value) {
        element(name, std::string_view(value));
    }
    void element(std::string_view name, const std::string& value) {
        element(name, std::string_view(value));
    }
    void element(std::string_view name, std::uint64_t value);
    void element(std::string_view name, std::uint32_t value) {
        element(name, std::uint64_t{value});
    }
    void element(std::string_view name, bool value) { element(name, value ? "true" : "false"); }
    // <name/>
    void empty_element(std::string_view name);
    // Text of the element that is open.
    void text(std::string_view value);
    // A fragment that is well-formed XML already.
    void raw(std::string_view fragment);
    // All elements must be closed.
    [[nodiscard]] std::string take() &&;

  private:
    std::string out_;
    std::vector<std::string_view> open_;
};

inline constexpr std::size_t kMaxXmlDepth = 16;          // levels; S3's deepest input has 5
inline constexpr std::size_t kMaxXmlElements = 120'000;  // Complete: 10,000 parts of 8 elements

// An element of a parsed document. Elements hold either text or elements, never both.
struct XmlElement {
    std::string name;  // without prefix
    std::string text;  // entities resolved; white space kept
    std::vector<XmlElement> children;

    // First child of that name; null when there is none.
    [[nodiscard]] const XmlElement* child(std::string_view child_name) const;
    [[nodiscard]] std::size_t count(std::string_view child_name) const;
    // Text of the only child of that name; nullopt when there is none; MalformedXML when there are
    // several or it has children.
    [[nodiscard]] S3Result<std::optional<std::string>> text_of(std::string_view child_name) const;
};

// The root element, which must be called `root`.
S3Result<XmlElement> parse_xml(std::string_view text, std::string_view root);

}  // namespace hamster::s3
