// How a session finds the handler of an action: ops::handler_of, or a test's own.
#pragma once

#include "s3/action.h"
#include "s3/context.h"

namespace hamster::s3 {

using Dispatch = Handler (*)(Action action);

}  // namespace hamster::s3
