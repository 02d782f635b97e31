// For this room's tests: a machine with one store on it, every call a plain function.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "runtime/sim/simulator.h"
#include "shards/store.h"

namespace hamster::shards {

// The smallest segments the store accepts: every path runs with little data.
inline constexpr Options kTiny{.segment_bytes = 1, .small_segment_bytes = 1};
inline constexpr std::uint64_t kTinySegment = 2 * base::kBlock + kSliceBytes + 2 * base::kBlock;

inline ShardId shard(std::uint64_t n, std::uint8_t slot = 0) {
    ShardId id{{}, Slot{slot}};
    for (int i = 0; i < 8; ++i) {
        id.blob.raw[static_cast<std::size_t>(i)] = static_cast<std::byte>(n >> (56 - 8 * i));
    }
    return id;
}

// Bytes that tell one slice from any other.
inline std::string pattern(std::uint64_t seed, std::size_t size) {
    std::string out(size, '\0');
    std::uint64_t x = seed * 0x9E3779B97F4A7C15ULL + 1;
    for (char& c : out) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        c = static_cast<char>(x);
    }
    return out;
}

inline base::Buffer buffer_of(std::string_view text) {
    return base::Buffer::copy_of(base::as_bytes(text));
}

class StoreScene {
  public:
    explicit StoreScene(std::uint64_t seed = 1, Options options = kTiny)
        : sim(seed), machine(sim.machine("m")), options_(options) {
        machine.boot();
    }
    ~StoreScene() {
        if (machine.is_up()) crash_only();
    }

    runtime::sim::Simulator sim;
    runtime::sim::Machine& machine;
    std::unique_ptr<Store> store;
    std::unique_ptr<base::Metrics> metrics = std::make_unique<base::Metrics>();

    // False when an armed crash came first: the machine is down then.
    Options& options() { return options_; }  // of the next open
    bool run(runtime::Task<void> task) { return sim.run_on(machine, std::move(task)); }
    Result<void> open() {
        Result<void> out = fail(Code::kUnavailable, "crashed");
        run(open_task(this, &out));
        return out;
    }
    void crash_only() {
        machine.crash([this] { store.reset(); });
    }
    Result<void> restart() {
        if (machine.is_up()) crash_only();
        machine.boot();
        return open();
    }
    Result<void> stop_and_restart() {
        run(stop_task(this));
        return restart();
    }
    void sleep(std::int64_t ms) { run(sleep_task(this, ms)); }

    Result<void> put(ShardId id, const std::string& slice) {
        return call<void>(store->put(id, buffer_of(slice)));
    }
    Result<std::string> read(ShardId id, std::uint32_t stripe = 0) {
        auto got = call<base::Buffer>(store->read(id, stripe));
        if (!got) return std::unexpected(got.error());
        return std::string(base::as_text(got->bytes()));
    }
    Result<void> remove(std::vector<ShardId> ids) {
        return call<void>(store->remove(std::move(ids)));
    }
    Result<bool> compact() { return call<bool>(store->compact_one()); }
    Result<std::unique_ptr<Writer>> create(ShardId id, std::uint64_t expected = 0) {
        return call<std::unique_ptr<Writer>>(store->create(id, expected));
    }
    // A shard of `count` slices pattern(seed + i).
    Result<void> write(ShardId id, std::uint64_t seed, std::size_t slice, int count,
                       std::size_t last, std::uint64_t expected = 0) {
        auto writer = create(id, expected);
        if (!writer) return std::unexpected(writer.error());
        for (int i = 0; i < count; ++i) {
            const std::string bytes =
                pattern(seed + static_cast<std::uint64_t>(i), i + 1 == count ? last : slice);
            auto appended = call<void>((*writer)->append(buffer_of(bytes)));
            if (!appended) return appended;
        }
        return call<void>((*writer)->finish());
    }

    template <class T>
    Result<T> call(runtime::Task<Result<T>> task) {
        Result<T> out = fail(Code::kUnavailable, "crashed");
        run(call_task<T>(std::move(task), &out));
        return out;
    }

  private:
    template <class T>
    static runtime::Task<void> call_task(runtime::Task<Result<T>> task, Result<T>* out) {
        auto result = co_await std::move(task);
        *out = std::move(result);
    }
    static runtime::Task<void> open_task(StoreScene* scene, Result<void>* out) {
        auto opened = co_await Store::open(&scene->machine.world(), "shards", scene->options_,
                                           scene->metrics.get());
        if (!opened) {
            *out = std::unexpected(opened.error());
            co_return;
        }
        scene->store = std::move(*opened);
        *out = Result<void>();
    }
    static runtime::Task<void> stop_task(StoreScene* scene) { co_await scene->store->stop(); }
    static runtime::Task<void> sleep_task(StoreScene* scene, std::int64_t ms) {
        co_await scene->machine.world().clock.sleep(std::chrono::milliseconds(ms));
    }

    Options options_;
};

template <class T>
testing::AssertionResult is_ok(const Result<T>& result) {
    if (result) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << base::to_string(result.error().code) << ": " << result.error().context;
}
template <class T>
testing::AssertionResult fails_with(const Result<T>& result, Code code) {
    if (!result && result.error().code == code) return testing::AssertionSuccess();
    if (result) return testing::AssertionFailure() << "succeeded";
    return testing::AssertionFailure()
           << base::to_string(result.error().code) << ": " << result.error().context;
}

}  // namespace hamster::shards
