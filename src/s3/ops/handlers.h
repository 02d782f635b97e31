// Which function performs which action.
#pragma once

#include "s3/action.h"
#include "s3/context.h"

namespace hamster::s3::ops {

// Every action has one.
Handler handler_of(Action action);

}  // namespace hamster::s3::ops
