// Which handler performs an action: the other end of the route table.
#pragma once

#include "s3/action.h"
#include "s3/context.h"

namespace hamster::s3 {

// Maps an action to its handler; a parameter of the server so that tests can bring their own.
using Dispatch = Handler (*)(Action action);

Handler handler_of(Action action);

}  // namespace hamster::s3
