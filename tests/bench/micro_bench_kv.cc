// The key-value store on a real disk: what a metadata write and a cached read cost.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "kv/store.h"
#include "runtime/prng.h"
#include "runtime/real/loops.h"

namespace hamster {
namespace {

constexpr std::uint64_t kRows = 200'000;
constexpr std::uint64_t kBatchRows = 100;

std::string row_key(std::uint64_t n) { return fmt::format("some/prefix/key-{:010}", n); }

// A store in a directory of its own under the working directory, gone with the object.
class Scene {
  public:
    Scene() : dir_((std::filesystem::current_path() / "micro-bench-XXXXXX").string()) {
        if (::mkdtemp(dir_.data()) == nullptr) std::abort();
        runtime::real::Options options;
        options.data_dir = dir_;
        options.io_loops = 1;
        loops_ = *runtime::real::Loops::create(options);
        loops_->run(open(&loops_->control(), &store_), {});
        if (store_ == nullptr) std::abort();
    }
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;
    ~Scene() {
        store_.reset();
        loops_.reset();
        std::filesystem::remove_all(dir_);
    }
    kv::Store& store() { return *store_; }
    void fill() {
        const std::string value(200, 'v');
        for (std::uint64_t n = 0; n < kRows;) {
            auto batch = store_->batch();
            for (std::uint64_t i = 0; i < kBatchRows; ++i) batch->put(row_key(n++), value);
            if (!store_->write(*batch)) std::abort();
        }
    }

  private:
    static runtime::Task<int> open(runtime::World* world, std::unique_ptr<kv::Store>* out) {
        auto opened = co_await kv::open(world, "kv", kv::Options{});
        if (opened) *out = std::move(*opened);
        co_return 0;
    }

    std::string dir_;
    std::unique_ptr<runtime::real::Loops> loops_;
    std::unique_ptr<kv::Store> store_;
};

void kv_put(benchmark::State& state) {
    Scene scene;
    const auto rows = static_cast<std::uint64_t>(state.range(0));
    const std::string value(200, 'v');
    std::uint64_t n = 0;
    for (auto _ : state) {
        auto batch = scene.store().batch();
        for (std::uint64_t i = 0; i < rows; ++i) batch->put(row_key(n++), value);
        if (!scene.store().write(*batch)) state.SkipWithError("the write failed");
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(n));
}
BENCHMARK(kv_put)->ArgName("rows_per_batch")->Arg(1)->Arg(8)->Arg(64);

void kv_get(benchmark::State& state) {
    const bool is_there = state.range(0) == 1;
    Scene scene;
    scene.fill();
    runtime::Prng prng(1);
    for (auto _ : state) {
        const std::string key = row_key(prng.below(kRows) + (is_there ? 0 : kRows));
        const auto found = scene.store().get(key);
        if (!found || found->has_value() != is_there) state.SkipWithError("a wrong answer");
    }
}
BENCHMARK(kv_get)->ArgName("present")->Arg(1)->Arg(0);

void kv_scan(benchmark::State& state) {
    Scene scene;
    scene.fill();
    std::int64_t rows = 0;
    for (auto _ : state) {
        const auto snapshot = scene.store().snapshot();
        const auto iterator = snapshot->iterate();
        for (iterator->seek(""); iterator->valid(); iterator->next()) ++rows;
    }
    state.SetItemsProcessed(rows);
}
BENCHMARK(kv_scan);

}  // namespace
}  // namespace hamster
