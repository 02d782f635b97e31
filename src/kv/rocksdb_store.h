// The store on RocksDB. Private to the room.
#pragma once

#include <memory>
#include <string>

#include "kv/store.h"

namespace rocksdb {
class Env;
}

namespace hamster::kv {

// Opens `path`, absolute, blocking. `env` is RocksDB's way to the system: null is its own; tests
// pass one that fails.
Result<std::unique_ptr<Store>> open_rocksdb(runtime::World* world, const std::string& path,
                                            Options options, rocksdb::Env* env);

}  // namespace hamster::kv
