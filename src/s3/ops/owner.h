// Owners as S3 shows them: an id and a display name.
#pragma once

#include <string>
#include <string_view>

#include "meta/view.h"
#include "s3/error.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

struct Owner {
    std::string id;    // hex of the user id
    std::string name;  // the user's; "root" for root
};

// `user_id` are the 16 bytes of a record. A user who is no longer there has no name.
S3Result<Owner> owner_named(const meta::View& view, std::string_view user_id);
// <Owner><ID/><DisplayName/></Owner>, or under another name (Initiator, Grantee's inside).
void write_owner(XmlWriter& xml, std::string_view element, const Owner& owner);

}  // namespace hamster::s3::ops
