// What the parts of the reconciler work with: the node that they belong to, as far as they need it.
// Everything outlives them. Control loop, except where said.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/ids.h"
#include "meta/group.h"
#include "objects/budget.h"
#include "objects/pins.h"
#include "objects/remote.h"
#include "objects/service.h"
#include "runtime/world.h"
#include "shards/store.h"

namespace hamster::objects {

constexpr std::uint64_t kPageGapMs = 5;  // between pages of rows: foreground traffic wins

struct Site {
    runtime::World* control;
    meta::Router* router;
    shards::Store* shards;
    Service* service;
    const Options* options;
    PinTable* pins;
    KeptTable* kept;
    const MemoryBudget* bodies;  // of what clients send and fetch
    const std::atomic<bool>* stopping;

    // Waits, or until the node stops: false then.
    runtime::Task<bool> pause(std::uint64_t ms) const;
    [[nodiscard]] bool is_stopping() const { return stopping->load(); }
    // Clients are being served. Any loop.
    [[nodiscard]] bool is_busy() const { return bodies->used() > 0; }
    // This node, which has no id where there are no others. Any loop.
    [[nodiscard]] bool is_self(const base::NodeId& node) const {
        return options->self.is_zero() || node.is_zero() || node == options->self;
    }
    // Whether another node is likely to answer. Any loop.
    [[nodiscard]] bool is_up(const base::NodeId& node) const;
    // Whether other nodes may read what lies here. Any loop.
    [[nodiscard]] bool is_shared() const;
    // Whether somebody has the blob open, here or elsewhere. Any loop.
    [[nodiscard]] bool is_read(const base::BlobId& blob) const;
    [[nodiscard]] runtime::Time now() const { return control->clock.now(); }
};

}  // namespace hamster::objects
