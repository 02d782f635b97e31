#include "node/node.h"

#ifndef HAMSTER_VERSION
#error "the build defines HAMSTER_VERSION"
#endif

namespace hamster::node {

std::string_view version() { return HAMSTER_VERSION; }

}  // namespace hamster::node
