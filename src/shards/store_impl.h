// The store: the parts of the room put together. Public methods hop to the control loop, except
// reads of the index and of slices, which run where they are called.
#pragma once

#include <memory>
#include <vector>

#include "shards/appender.h"
#include "shards/compaction.h"
#include "shards/core.h"
#include "shards/large.h"
#include "shards/reclaim.h"

namespace hamster::shards {

class StoreImpl final : public Store {
  public:
    StoreImpl(runtime::World* control, std::string dir, const Options& options,
              base::Metrics* metrics)
        : core_(control, std::move(dir), options, metrics) {}

    // Recovers, then starts the background tasks. On the control loop.
    runtime::Task<Result<void>> start();

    runtime::Task<Result<void>> put(ShardId id, base::Buffer slice, Mode mode) override;
    runtime::Task<Result<std::unique_ptr<Writer>>> create(ShardId id, std::uint64_t expected_bytes,
                                                          Mode mode) override;
    runtime::Task<Result<base::Buffer>> read(ShardId id, std::uint32_t stripe) override;
    runtime::Task<Result<void>> verify_home(ShardId id) override;
    runtime::Task<Result<void>> remove(std::vector<ShardId> ids) override;
    [[nodiscard]] Result<std::optional<ShardInfo>> find(ShardId id) const override;
    [[nodiscard]] Result<std::vector<ShardInfo>> list(std::optional<ShardId> after,
                                                      std::size_t limit) const override;
    runtime::Task<Result<bool>> compact_one() override;
    [[nodiscard]] Stats stats() const override { return core_.meters.stats(); }
    [[nodiscard]] bool is_full() const override { return core_.space.is_full(); }
    runtime::Task<void> stop() override;

    // For the writer's handle, from any loop.
    runtime::Task<Result<void>> append(std::shared_ptr<LargeWrite> write, base::Buffer slice);
    runtime::Task<Result<void>> finish(std::shared_ptr<LargeWrite> write, Mode mode);

  private:
    // The same on the control loop, inside the gate.
    runtime::Task<Result<void>> put_here(ShardId id, base::Buffer slice, std::uint64_t hash,
                                         Mode mode);
    runtime::Task<Result<std::unique_ptr<Writer>>> create_here(ShardId id,
                                                               std::uint64_t expected_bytes,
                                                               Mode mode);
    runtime::Task<Result<void>> append_here(std::shared_ptr<LargeWrite> write, base::Buffer slice,
                                            std::uint64_t hash);
    runtime::Task<Result<void>> finish_here(std::shared_ptr<LargeWrite> write, Mode mode);
    runtime::Task<Result<void>> remove_here(std::vector<ShardId> ids);
    Result<void> remove_chunk(std::span<const ShardId> ids);
    // Runs `task` in the gate on the control loop; kUnavailable once the store stops.
    template <class T>
    runtime::Task<Result<T>> enter(runtime::Task<Result<T>> task);
    template <class T>
    runtime::Task<Result<T>> on_control(runtime::Task<Result<T>> task);

    runtime::Task<void> housekeeping();
    [[nodiscard]] bool has_chores() const;
    runtime::Task<void> do_chores();
    void sweep_abandoned();
    Result<void> check_space(std::size_t bytes);

    Core core_;
    Reclaimer reclaimer_{&core_};
    SmallLane small_{&core_, &reclaimer_};
    LargeLane large_{&core_};
    Compactor compactor_{&core_, &small_, &large_, &reclaimer_};
    std::vector<std::shared_ptr<LargeWrite>> writes_;  // neither finished nor given up
    runtime::Signal chores_;
    runtime::Time reclaimed_{INT64_MIN / 2};
};

}  // namespace hamster::shards
