#include "s3/ops/acl.h"

#include "s3/xml.h"

namespace hamster::s3::ops {

std::string render_acl(const Owner& owner) {
    XmlWriter xml;
    xml.open_root("AccessControlPolicy");
    write_owner(xml, "Owner", owner);
    xml.open("AccessControlList");
    xml.open("Grant");
    xml.open_with("Grantee",
                  "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
                  "xsi:type=\"CanonicalUser\"");
    xml.element("ID", owner.id);
    xml.element("DisplayName", owner.name);
    xml.close();
    xml.element("Permission", "FULL_CONTROL");
    xml.close();
    xml.close();
    xml.close();
    return std::move(xml).take();
}

}  // namespace hamster::s3::ops
