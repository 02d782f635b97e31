// Documents that clients send. What was read must survive being written and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "s3/xml.h"

using namespace hamster::s3;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto root = parse_xml(text, "Delete");
    if (!root || !root->children.empty()) return 0;
    XmlWriter xml;
    xml.element("Delete", root->text);
    const auto again = parse_xml(std::move(xml).take(), "Delete");
    if (!again || again->text != root->text) __builtin_trap();
    return 0;
}
