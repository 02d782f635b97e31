// How many partitions there are. The link decides, as with planted bugs: every binary has
// kPartitions, which is fixed for ever; the simulator and the tests of objects take fewer, since
// most of a short run would be spent on rows of partitions that no blob is in. So they test the
// very objects that are shipped.
#pragma once

#include <cstdint>

namespace hamster::base {

// A power of two, at most kPartitions; the same all the time. Any thread. Their
// definition stands in tests/simulation/partitions.cc.
std::uint16_t partitions();

}  // namespace hamster::base
