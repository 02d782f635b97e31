// The index: where each shard lies. Derived from the segments and kept in a kv::Store without its
// own log: recovery replays what segments hold beyond each one's indexed end.
// Reads from any loop. Changes on the control loop, through Change, which keeps each segment's
// bookkeeping in step with the rows, atomically.
//   r | blob | slot               -> Row
//   x | segment | blob | slot     -> nothing: the shard has an extent in that large segment
//   s | segment                   -> SegmentRow
//   h | segment | offset          -> epoch, length: freed, to be punched
//   m                             -> format version
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kv/store.h"
#include "shards/record.h"
#include "shards/segment.h"

namespace hamster::shards {

// The record of the small lane that makes a shard exist: its one slice, or its seal.
struct Home {
    std::uint32_t segment = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;  // payload of the record
    bool operator==(const Home&) const = default;
};

struct Row {
    std::uint64_t sequence = 0;
    std::uint64_t sealed_ms = 0;
    Home home;
    std::optional<Geometry> large;  // nullopt: the home record is the slice
    bool operator==(const Row&) const = default;

    [[nodiscard]] std::uint64_t bytes() const { return large ? large->bytes : home.length; }
    [[nodiscard]] ShardInfo info(ShardId id) const {
        const std::uint64_t slices = large ? large->slices() : 1;
        return {id, bytes(), static_cast<std::uint32_t>(slices), sealed_ms};
    }
};

struct SegmentRow {
    Lane lane = Lane::kSmall;
    bool sealed = false;
    std::uint64_t epoch = 0;
    std::uint64_t end = 0;
    std::uint64_t disk = 0;
    std::uint64_t live = 0;
    std::uint64_t records = 0;
    std::uint64_t last_sequence = 0;
    bool operator==(const SegmentRow&) const = default;
};

// A freed range of a large segment.
struct Hole {
    std::uint32_t segment = 0;
    std::uint64_t epoch = 0;
    std::uint32_t offset = 0;
    std::uint64_t length = 0;
};

std::string encode_row(const Row& row);
Result<Row> decode_row(std::string_view bytes);
std::string encode_segment_row(const SegmentRow& row);
Result<SegmentRow> decode_segment_row(std::string_view bytes);

class Index {
  public:
    explicit Index(std::unique_ptr<kv::Store> store) : store_(std::move(store)) {}

    [[nodiscard]] kv::Store* store() const { return store_.get(); }
    [[nodiscard]] Result<std::optional<Row>> get(ShardId id) const;
    [[nodiscard]] Result<std::vector<ShardInfo>> list(std::optional<ShardId> after,
                                                      std::size_t limit) const;
    // False when there is no index yet (or it was lost). kUnsupported: a newer format.
    [[nodiscard]] Result<bool> exists() const;
    Result<void> mark_created();
    [[nodiscard]] Result<std::map<std::uint32_t, SegmentRow>> segments() const;
    [[nodiscard]] Result<std::vector<Hole>> holes() const;
    // Up to `limit` shards with an extent in the segment, in id order.
    [[nodiscard]] Result<std::vector<ShardId>> in_segment(std::uint32_t segment,
                                                          std::optional<ShardId> after,
                                                          std::size_t limit) const;
    // Up to `limit` rows in id order. For recovery.
    [[nodiscard]] Result<std::vector<std::pair<ShardId, Row>>> rows(std::optional<ShardId> after,
                                                                    std::size_t limit) const;

  private:
    friend class Change;
    std::unique_ptr<kv::Store> store_;
};

// One atomic change of rows and of the bookkeeping of the segments they touch.
class Change {
  public:
    Change(Index* index, SegmentTable* table, Meters* meters);

    // Sees this change's own writes.
    Result<std::optional<Row>> lookup(ShardId id) const;
    // `old`: the row it takes the place of.
    void set(ShardId id, const std::optional<Row>& old, const Row& row);
    void erase(ShardId id, const Row& old);
    // The segment's state row is written even if no count of it changes.
    void touch(std::uint32_t segment) { deltas_.try_emplace(segment); }
    void add_hole(const Hole& hole);
    void drop_hole(const Hole& hole);
    // Every row about the segment itself. It must hold nothing live.
    void drop_segment(std::uint32_t segment);
    // Makes it visible; answers the ranges of large segments it freed (rows for them are written).
    // kIo: nothing changed.
    Result<std::vector<Hole>> commit();

  private:
    struct Delta {
        std::int64_t live = 0;
        std::int64_t records = 0;
    };
    void count(const Row& row, std::int64_t sign);
    void link(ShardId id, const Row& row, bool add);
    void free_extents(const Row& old, const Row* kept);

    Index* index_;
    SegmentTable* table_;
    Meters* meters_;
    std::unique_ptr<kv::Batch> batch_;
    std::map<ShardId, std::optional<Row>> overlay_;
    std::map<std::uint32_t, Delta> deltas_;
    std::set<std::uint32_t> dropped_;
    std::vector<Hole> freed_;
    std::int64_t shards_ = 0;
};

}  // namespace hamster::shards
