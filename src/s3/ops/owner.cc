#include "s3/ops/owner.h"

#include <utility>

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

S3Result<const Owner*> OwnerNames::find(const std::string& user_id) {
    const auto known = known_.find(user_id);
    if (known != known_.end()) return &known->second;
    TRY_ASSIGN(Owner owner, owner_named(*view_, user_id));
    return &known_.emplace(user_id, std::move(owner)).first->second;
}

void write_owner(XmlWriter& xml, std::string_view element, const Owner& owner) {
    xml.open(element);
    xml.element("ID", owner.id);
    xml.element("DisplayName", owner.name);
    xml.close();
}

}  // namespace hamster::s3::ops
