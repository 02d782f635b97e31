// The access control list every bucket and object has: its owner, and nobody else.
#pragma once

#include <string>

#include "s3/ops/owner.h"

namespace hamster::s3::ops {

std::string render_acl(const Owner& owner);

}  // namespace hamster::s3::ops
