#include "base/partitions.h"

#include "base/ids.h"

namespace hamster::base {

std::uint16_t partitions() { return kPartitions; }

}  // namespace hamster::base
