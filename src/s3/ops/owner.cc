#include "s3/ops/owner.h"

namespace hamster::s3::ops {

S3Result<Owner> owner_named(const meta::View& view, std::string_view user_id) {
    const base::UserId id = base::UserId::from_bytes(user_id).value_or(base::UserId{});
    Owner owner{id.hex(), {}};
    if (id.is_zero()) {
        owner.name = "root";
        return owner;
    }
    auto user = view.user(id);
    if (!user) return std::unexpected(from_error(user.error()));
    if (*user) owner.name = (*user)->name();
    return owner;
}

void write_owner(XmlWriter& xml, std::string_view element, const Owner& owner) {
    xml.open(element);
    xml.element("ID", owner.id);
    xml.element("DisplayName", owner.name);
    xml.close();
}

}  // namespace hamster::s3::ops
