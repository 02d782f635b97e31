// Owners as S3 shows them: an id and a display name.
#pragma once

#include <map>
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
// The owners of one listing: rows are many and owners few, so each is looked up once. The view
// outlives it.
class OwnerNames {
  public:
    explicit OwnerNames(const meta::View* view) : view_(view) {}
    // The pointer holds as long as this does.
    S3Result<const Owner*> find(const std::string& user_id);

  private:
    const meta::View* view_;
    std::map<std::string, Owner> known_;
};
// <Owner><ID/><DisplayName/></Owner>, or under another name (Initiator, Grantee's inside).
void write_owner(XmlWriter& xml, std::string_view element, const Owner& owner);

}  // namespace hamster::s3::ops
