// The cluster secret: 32 random bytes in a file of the data directory (mode 0600, as every file
// there), under which the secrets in the metadata are sealed. Losing it loses them; so it is made
// only when asked for, and a file that is not right is refused, never replaced.
#pragma once

#include <string>

#include "base/result.h"
#include "crypto/key.h"
#include "crypto/random.h"
#include "runtime/task.h"
#include "runtime/world.h"

namespace hamster::crypto {

// kNotFound when there is no file, kCorrupt when it has not exactly 32 bytes.
runtime::Task<Result<Key256>> load_cluster_secret(runtime::Disk* disk, std::string path);

// The same, but makes the file, durably, when there is none: for a data directory that is new.
runtime::Task<Result<Key256>> load_or_create_cluster_secret(runtime::Disk* disk, KeySource* keys,
                                                            std::string path);

}  // namespace hamster::crypto
