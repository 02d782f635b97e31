#include "objects/repairer.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"

namespace hamster::objects {

using base::NodeId;
using base::Slot;
using runtime::Task;

namespace {

using Slices = std::vector<base::Buffer>;

std::unexpected<Error> wrong_length() {
    return fail(Code::kCorrupt, "a slice does not have the length its blob says");
}

// One shard that is being restored. Lives in the frame of who restores it.
class Rebuild {
  public:
    // `asks_all`: also nodes that are likely not to answer, which takes its time.
    Rebuild(const Site* site, Repairer* repairer, BlobPlace blob, Slot slot, bool asks_all)
        : site_(site),
          repairer_(repairer),
          blob_(std::move(blob)),
          slot_(slot),
          codec_(blob_.shape.geometry.profile) {
        // This node first: no network. Those that are likely not to answer last.
        for (const int rank : {0, 1, 2}) {
            for (const BlobPlace::Shard& shard : blob_.shards) {
                const bool is_own = shard.slot == slot && site->is_self(shard.node);
                const bool is_slot = shard.slot.value < blob_.shape.width();
                if (is_own || !is_slot || rank_of(shard.node) != rank) continue;
                places_.push_back({shard.slot, shard.node, rank == 2 && !asks_all});
            }
        }
    }

    [[nodiscard]] const Shape& shape() const { return blob_.shape; }

    // kUnavailable, kCorrupt: as of restore().
    Task<Result<base::Buffer>> stripe(std::uint32_t stripe) {
        auto mine = co_await read_here(slot_, stripe);
        if (mine) co_return mine;
        auto copied = co_await read_slot(slot_, stripe);
        if (copied) co_return copied;
        auto rebuilt = co_await rebuild(stripe);
        // The place that cannot be reached may have it.
        const bool is_hopeless = !rebuilt && rebuilt.error().code == Code::kCorrupt &&
                                 copied.error().code != Code::kUnavailable;
        if (rebuilt || is_hopeless) co_return rebuilt;
        co_return fail(Code::kUnavailable, rebuilt.error().context);
    }

  private:
    struct Place {
        Slot slot;
        NodeId node;
        bool is_away = false;   // did not answer: not asked again
        bool is_empty = false;  // has no such shard
    };

    [[nodiscard]] int rank_of(const NodeId& node) const {
        if (site_->is_self(node)) return 0;
        return site_->is_up(node) ? 1 : 2;
    }

    Task<Result<base::Buffer>> read_here(Slot slot, std::uint32_t stripe) {
        auto read = co_await site_->shards->read({blob_.blob, slot}, stripe);
        CO_TRY_ASSIGN(base::Buffer slice, read);
        if (slice.size() != blob_.shape.slice_length(stripe)) co_return wrong_length();
        co_return slice;
    }

    // From the first place of the slot that gives it. kUnavailable: one that may have it does not
    // answer; else kNotFound.
    Task<Result<base::Buffer>> read_slot(Slot slot, std::uint32_t stripe) {
        bool is_any_away = false;
        for (std::size_t i = 0; i < places_.size(); ++i) {
            if (places_[i].slot != slot || places_[i].is_empty) continue;
            is_any_away |= places_[i].is_away;
            if (places_[i].is_away) continue;
            const NodeId node = places_[i].node;
            auto reading = site_->is_self(node)
                               ? read_here(slot, stripe)
                               : repairer_->read_away(node, {{blob_.blob, slot}, stripe},
                                                      blob_.shape.slice_length(stripe));
            auto read = co_await std::move(reading);
            if (read) co_return read;
            is_any_away |= note_failure(&places_[i], read.error(), stripe);
        }
        if (is_any_away) co_return fail(Code::kUnavailable, "a node does not answer");
        co_return fail(Code::kNotFound, "nobody has this slice");
    }

    // True: the place may have it all the same.
    bool note_failure(Place* place, const Error& error, std::uint32_t stripe) {
        LOG_DEBUG("objects", "blob {} slot {} stripe {} from node {}: {}", blob_.blob.hex(),
                  place->slot.value, stripe, place->node.hex(), error.context);
        switch (error.code) {
            case Code::kNotFound:
                place->is_empty = true;
                return false;
            case Code::kCorrupt:
            case Code::kIo:
                return false;
            default:
                place->is_away = true;
                return true;
        }
    }

    // The slots of which there is a place, this node's own shards first.
    [[nodiscard]] std::vector<Slot> other_slots() const {
        std::vector<Slot> slots;
        for (const Place& place : places_) {
            if (place.slot == slot_ || place.is_empty) continue;
            if (std::ranges::find(slots, place.slot) == slots.end()) slots.push_back(place.slot);
        }
        return slots;
    }

    // As many of the others as it takes, at once; those that fail are made up for by the next ones.
    Task<Result<base::Buffer>> rebuild(std::uint32_t stripe) {
        const std::uint32_t k = blob_.shape.k();
        const std::vector<Slot> slots = other_slots();
        Slices slices(blob_.shape.width());
        std::size_t next = 0;
        std::uint32_t have = 0;
        std::uint32_t away = 0;
        while (have < k && next < slots.size()) {
            const std::size_t end = std::min<std::size_t>(slots.size(), next + k - have);
            std::vector<Task<Result<base::Buffer>>> reads;
            for (std::size_t i = next; i < end; ++i) reads.push_back(read_slot(slots[i], stripe));
            auto got = co_await runtime::when_all(std::move(reads));
            for (std::size_t i = next; i < end; ++i) {
                Result<base::Buffer>& slice = got[i - next];
                const bool is_damaged = !slice && slice.error().code != Code::kUnavailable;
                if (is_damaged && base::planted(base::Bug::kRepairUnverified)) {
                    const std::string bytes(blob_.shape.slice_length(stripe), 'x');
                    slice = base::Buffer::copy_of(base::as_bytes(bytes));
                }
                have += slice ? 1 : 0;
                away += !slice && slice.error().code == Code::kUnavailable ? 1 : 0;
                if (slice) slices[slots[i].value] = std::move(*slice);
            }
            next = end;
        }
        if (have < k) {
            const Code code = have + away < k ? Code::kCorrupt : Code::kUnavailable;
            co_return fail(code, fmt::format("stripe {} has {} good slices within reach, {} are "
                                             "needed",
                                             stripe, have, k));
        }
        CO_TRY(erasure::rebuild(codec_, {slot_.value}, blob_.shape.slice_length(stripe), &slices));
        co_return std::move(slices[slot_.value]);
    }

    const Site* site_;
    Repairer* repairer_;
    const BlobPlace blob_;
    const Slot slot_;
    const erasure::Codec codec_;
    std::vector<Place> places_;
};

// What one restore holds at most: the slices of a few stripes.
std::size_t memory_of(const Shape& shape) {
    const std::size_t stripes = std::min(shape.stripes(), Repairer::kStripesAtOnce);
    return stripes * (shape.k() + 1) * shape.slice_length(0);
}
static_assert(std::size_t{Repairer::kStripesAtOnce} * (erasure::kMaxSlots + 1) *
                  shards::kSliceBytes <=
              Repairer::kMemory);

// The slices of stripes first .. end-1.
Task<Result<Slices>> fetch(Rebuild* rebuild, std::uint32_t first, std::uint32_t end) {
    std::vector<Task<Result<base::Buffer>>> fetches;
    for (std::uint32_t i = first; i < end; ++i) fetches.push_back(rebuild->stripe(i));
    auto fetched = co_await runtime::when_all(std::move(fetches));
    Slices slices;
    for (Result<base::Buffer>& slice : fetched) {
        CO_TRY(slice);
        slices.push_back(std::move(*slice));
    }
    co_return slices;
}

// Background work within its rate.
struct Allowance {
    Pacer* pacer = nullptr;  // null: no limit
    std::uint64_t bytes_per_s = 0;
    [[nodiscard]] Task<void> take(std::uint64_t bytes) const {
        if (pacer != nullptr) co_await pacer->take(bytes, bytes_per_s);
    }
};

Task<Result<void>> stream(Rebuild* rebuild, shards::Writer* writer, Allowance allowance) {
    const std::uint32_t stripes = rebuild->shape().stripes();
    for (std::uint32_t at = 0; at < stripes;) {
        const std::uint32_t end = std::min(stripes, at + Repairer::kStripesAtOnce);
        co_await allowance.take(std::uint64_t{end - at} * rebuild->shape().slice_length(at));
        auto fetched = co_await fetch(rebuild, at, end);
        CO_TRY_ASSIGN(Slices slices, fetched);
        for (base::Buffer& slice : slices) {
            auto appended = co_await writer->append(std::move(slice));
            CO_TRY(appended);
        }
        at = end;
    }
    auto finished = co_await writer->finish();
    co_return finished;
}

Task<Result<void>> write_anew(const Site* site, Rebuild* rebuild, shards::ShardId id,
                              Allowance allowance) {
    if (rebuild->shape().stripes() == 1) {
        co_await allowance.take(rebuild->shape().shard_bytes());
        auto fetched = co_await rebuild->stripe(0);
        CO_TRY_ASSIGN(base::Buffer slice, fetched);
        auto put = co_await site->shards->put(id, std::move(slice), shards::Mode::kReplace);
        co_return put;
    }
    auto created =
        co_await site->shards->create(id, rebuild->shape().shard_bytes(), shards::Mode::kReplace);
    CO_TRY_ASSIGN(const std::unique_ptr<shards::Writer> writer, created);
    auto streamed = co_await stream(rebuild, writer.get(), allowance);
    co_return streamed;
}

}  // namespace

Repairer::Repairer(const Site* site, base::Metrics* metrics)
    : site_(site),
      pacer_(site, true),
      blobs_(metrics->counter("hamster_repaired_shards_total",
                              "Shards copied from other nodes, or rebuilt")),
      bytes_(metrics->counter("hamster_repaired_bytes_total", "Bytes of such shards")),
      failures_(metrics->counter("hamster_repair_failures_total",
                                 "Attempts to restore a shard that failed")) {}

Result<bool> Repairer::is_present(const shards::ShardId& shard, const Shape& shape) const {
    TRY_ASSIGN(const auto found, site_->shards->find(shard));
    return found && found->bytes == shape.shard_bytes() && found->slices == shape.stripes();
}

Task<bool> Repairer::is_whole(shards::ShardId shard, Shape shape, Pace pace) {
    const Result<bool> present = is_present(shard, shape);
    if (!present || !*present) co_return false;
    auto home = co_await site_->shards->verify_home(shard);
    if (!home) co_return false;
    const std::uint32_t stripes = shape.stripes();
    for (std::uint32_t i = 0; i < stripes && !site_->is_stopping(); ++i) {
        const std::uint32_t length = shape.slice_length(i);
        if (pace == Pace::kBackground) {
            co_await pacer_.take(length, site_->options->repair_bytes_per_s);
        }
        auto read = co_await site_->shards->read(shard, i);
        if (!read || read->size() != length) co_return false;
    }
    co_return !site_->is_stopping();
}

Task<Result<base::Buffer>> Repairer::read_away(NodeId node, SliceAddress address,
                                               std::uint32_t length) {
    if (site_->options->remote == nullptr) {
        co_return fail(Code::kUnavailable, "this node reaches no others");
    }
    runtime::Semaphore& window = windows_.try_emplace(node, kWindow).first->second;
    co_await window.acquire(length);
    auto answer =
        co_await site_->options->remote->call(node, RemoteMethod::kReadSlice, encode_read(address));
    window.release(length);
    CO_TRY(answer);
    CO_TRY_ASSIGN(const base::Bytes slice, verify_slice(address, *answer));
    if (slice.size() != length) co_return wrong_length();
    co_return base::Buffer::copy_of(slice);
}

// At most one at a time restores a shard: whoever comes second looks at what the first one made.
Task<Result<void>> Repairer::restore(BlobPlace blob, Slot slot, Pace pace) {
    if (slot.value >= blob.shape.width()) co_return fail(Code::kInvalid, "no such slot");
    const shards::ShardId shard{blob.blob, slot};
    bool has_waited = false;
    while (under_way_.contains(shard)) {
        has_waited = true;
        co_await ended_.wait();
    }
    under_way_.insert(shard);
    bool is_done = false;
    if (has_waited) is_done = co_await is_whole(shard, blob.shape, pace);
    Result<void> restored;
    if (!is_done) restored = co_await restore_alone(std::move(blob), slot, pace);
    under_way_.erase(shard);
    ended_.notify_all();
    co_return restored;
}

Task<Result<void>> Repairer::restore_alone(BlobPlace blob, Slot slot, Pace pace) {
    if (site_->is_stopping()) co_return fail(Code::kUnavailable, "the node is stopping");
    const shards::ShardId shard{blob.blob, slot};
    const std::uint64_t bytes = blob.shape.shard_bytes();
    const std::size_t memory = memory_of(blob.shape);
    Rebuild rebuild(site_, this, std::move(blob), slot, pace == Pace::kUrgent);
    const Allowance allowance{pace == Pace::kUrgent ? nullptr : &pacer_,
                              site_->options->repair_bytes_per_s};
    runtime::Semaphore& room = pace == Pace::kUrgent ? urgent_memory_ : memory_;
    co_await room.acquire(memory);
    auto written = co_await write_anew(site_, &rebuild, shard, allowance);
    room.release(memory);
    if (!written) {
        failures_.add();
        co_return written;
    }
    blobs_.add();
    bytes_.add(bytes);
    co_return Result<void>{};
}

}  // namespace hamster::objects
