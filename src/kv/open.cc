#include <utility>

#include "kv/memory_store.h"
#include "kv/rocksdb_store.h"

namespace hamster::kv {
namespace {

runtime::Task<Result<std::unique_ptr<Store>>> open_memory(runtime::World* world, std::string dir) {
    const std::string path = dir + "/content";
    auto store = std::make_unique<MemoryStore>(world, path);
    auto content = co_await runtime::read_file(&world->disk, path, kMaxMemoryFileBytes);
    if (content) {
        auto loaded = store->load(*content);
        if (!loaded) {
            co_return fail(std::move(loaded).error(), path);
        }
    } else if (content.error().code != Code::kNotFound) {
        co_return std::unexpected(std::move(content).error());
    }
    co_return std::unique_ptr<Store>(std::move(store));
}

}  // namespace

runtime::Task<Result<std::unique_ptr<Store>>> open(runtime::World* world, std::string dir,
                                                   Options options) {
    auto made = co_await world->disk.make_dir(dir);
    CO_TRY(made);
    const std::size_t slash = dir.rfind('/');
    auto synced =
        co_await world->disk.sync_dir(slash == std::string::npos ? "" : dir.substr(0, slash));
    CO_TRY(synced);
    const std::string path = world->disk.real_path(dir);
    if (path.empty()) {
        co_return co_await open_memory(world, std::move(dir));
    }
    auto work = [world, path, options] { return open_rocksdb(world, path, options, nullptr); };
    co_return co_await runtime::run_blocking(&world->pool, std::move(work));
}

}  // namespace hamster::kv
