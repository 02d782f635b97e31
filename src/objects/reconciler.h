// The reconciler of one node: makes its disk match the metadata, for ever. Four loops, none of
// which waits for another: what is missing here is restored (walk.h), what is not needed any more
// goes (collector.h), everything is read now and then (scrub.h), and blobs are re-encoded when the
// operator wants it (reencode.h). Whatever it does follows from the metadata, so a crash costs
// nothing but the walk that comes after it. Control loop, except where said.
#pragma once

#include <cstdint>
#include <string>

#include "base/metrics.h"
#include "objects/collector.h"
#include "objects/reencode.h"
#include "objects/repairer.h"
#include "objects/scrub.h"
#include "objects/site.h"
#include "objects/walk.h"
#include "runtime/sync.h"

namespace hamster::objects {

class Reconciler {
  public:
    Reconciler(Site site, base::Metrics* metrics);
    Reconciler(const Reconciler&) = delete;
    Reconciler& operator=(const Reconciler&) = delete;

    // Starts the loops in `gate`, which is the control loop's.
    void start(runtime::Gate* gate);
    // One round of all but the scrub.
    runtime::Task<void> round();

    // Makes this node have the shard, because a client waits for it. As of Repairer::restore().
    runtime::Task<Result<void>> pull(BlobPlace blob, base::Slot slot);
    // RemoteMethod::kPull and kRemove.
    runtime::Task<Result<std::string>> serve_pull(std::string payload);
    runtime::Task<Result<std::string>> serve_remove(std::string payload) {
        return collector_.serve_remove(std::move(payload));
    }
    // A shard was found damaged, or missing where it was looked for. Any loop.
    void note_suspect(const shards::ShardId& shard) { walker_.note_suspect(shard); }

    std::uint64_t scrub_now() { return scrubber_.begin_now(); }

    [[nodiscard]] ReconcileReport report();
    [[nodiscard]] const Site& site() const { return site_; }

  private:
    runtime::Task<void> repair_loop();
    runtime::Task<void> collect_loop();
    runtime::Task<void> reencode_loop();
    [[nodiscard]] std::uint64_t bytes_per_s();

    const Site site_;
    runtime::Semaphore turns_{1};
    Repairer repairer_;
    Walker walker_;
    Collector collector_;
    Scrubber scrubber_;
    Reencoder reencoder_;
    // What had been restored at times some seconds apart, for the rate.
    struct Mark {
        runtime::Time at;
        std::uint64_t bytes = 0;
    };
    Mark older_{site_.now()};
    Mark newer_{site_.now()};
    base::Gauge& missing_gauge_;
    base::Gauge& moving_gauge_;
    base::Gauge& damaged_gauge_;
    base::Gauge& backlog_bytes_gauge_;
    base::Gauge& rate_gauge_;
    base::Gauge& left_gauge_;
    base::Gauge& degraded_gauge_;
};

}  // namespace hamster::objects
