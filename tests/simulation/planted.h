// Which planted bug the product code shows. One thread: set before a simulated world starts.
#pragma once

#include "base/planted.h"

namespace hamster::simulation {

void plant(base::Bug bug);

}  // namespace hamster::simulation
