// The data directory on Linux. One Disk is shared by all loops of a process; every call may come
// from any of them. Blocking calls run on the pool.
#pragma once

#include <memory>
#include <string>

#include "runtime/world.h"

namespace hamster::runtime::real {

// `root` must exist, or is made (with parents, mode 0700) when `create` is set.
Result<std::unique_ptr<Disk>> open_disk(std::string root, bool create, BlockingPool* pool);

}  // namespace hamster::runtime::real
