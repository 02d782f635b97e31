#include "shards/index.h"

#include "base/assert.h"
#include "base/encoding.h"

namespace hamster::shards {

namespace {

constexpr std::string_view kFormatKey = "m";
constexpr std::uint8_t kIndexVersion = 1;
constexpr char kRows = 'r';
constexpr char kExtents = 'x';
constexpr char kSegments = 's';
constexpr char kHoles = 'h';
constexpr std::size_t kIdBytes = 17;

void append_id(std::string& out, ShardId id) {
    out += id.blob.view();
    out.push_back(static_cast<char>(id.slot.value));
}

std::optional<ShardId> parse_id(std::string_view bytes) {
    if (bytes.size() != kIdBytes) return std::nullopt;
    const auto blob = base::BlobId::from_bytes(bytes.substr(0, 16));
    if (!blob) return std::nullopt;
    return ShardId{*blob, Slot{static_cast<std::uint8_t>(bytes.back())}};
}

std::string row_key(ShardId id) {
    std::string key(1, kRows);
    append_id(key, id);
    return key;
}

std::string segment_key(char table, std::uint32_t segment) {
    std::string key(1, table);
    base::put_be32(key, segment);
    return key;
}

std::string extent_key(std::uint32_t segment, ShardId id) {
    std::string key = segment_key(kExtents, segment);
    append_id(key, id);
    return key;
}

std::string hole_key(const Hole& hole) {
    std::string key = segment_key(kHoles, hole.segment);
    base::put_be32(key, hole.offset);
    return key;
}

// The first key behind every key that starts with `key`.
std::string after_prefix(std::string key) {
    while (!key.empty() && key.back() == '\xff') {
        key.pop_back();
    }
    HAMSTER_ASSERT(!key.empty());
    ++key.back();
    return key;
}

std::string after_key(std::string key) {
    key.push_back('\0');
    return key;
}

std::unexpected<Error> damaged(const char* what) { return fail(Code::kCorrupt, what); }

bool get_u32(std::string_view& in, std::uint32_t& out) {
    std::uint64_t v = 0;
    if (!get_varint(in, v) || v > UINT32_MAX) return false;
    out = static_cast<std::uint32_t>(v);
    return true;
}

constexpr char kSingleRow = 1;
constexpr char kLargeRow = 2;

}  // namespace

std::string encode_row(const Row& row) {
    std::string out(1, row.large ? kLargeRow : kSingleRow);
    put_varint(out, row.sequence);
    put_varint(out, row.sealed_ms);
    put_varint(out, row.home.segment);
    put_varint(out, row.home.offset / 8);
    put_varint(out, row.home.length);
    if (row.large) encode_geometry(out, *row.large);
    return out;
}

Result<Row> decode_row(std::string_view in) {
    if (in.empty() || (in[0] != kSingleRow && in[0] != kLargeRow)) return damaged("index row");
    const bool large = in[0] == kLargeRow;
    in.remove_prefix(1);
    Row row;
    std::uint32_t units = 0;
    if (!get_varint(in, row.sequence) || !get_varint(in, row.sealed_ms) ||
        !get_u32(in, row.home.segment) || !get_u32(in, units) || units > UINT32_MAX / 8 ||
        !get_u32(in, row.home.length) || row.home.length > kSliceBytes) {
        return damaged("index row");
    }
    row.home.offset = units * 8;
    if (large) {
        TRY_ASSIGN(row.large, decode_geometry(in));
    }
    if (!in.empty()) return damaged("index row has a tail");
    return row;
}

std::string encode_segment_row(const SegmentRow& row) {
    std::string out(1, static_cast<char>(row.lane));
    out.push_back(row.sealed ? 1 : 0);
    base::put_be64(out, row.epoch);
    for (const auto v : {row.end, row.disk, row.live, row.records, row.last_sequence}) {
        put_varint(out, v);
    }
    return out;
}

Result<SegmentRow> decode_segment_row(std::string_view in) {
    if (in.size() < 10 || in[0] < 1 || in[0] > 2) return damaged("segment row");
    SegmentRow row;
    row.lane = static_cast<Lane>(in[0]);
    row.sealed = in[1] != 0;
    row.epoch = base::get_be64(in.data() + 2);
    in.remove_prefix(10);
    for (auto* v : {&row.end, &row.disk, &row.live, &row.records, &row.last_sequence}) {
        if (!get_varint(in, *v)) return damaged("segment row");
    }
    return row;
}

Result<std::optional<Row>> Index::get(ShardId id) const {
    TRY_ASSIGN(const std::optional<std::string> value, store_->get(row_key(id)));
    if (!value) return std::optional<Row>();
    TRY_ASSIGN(Row row, decode_row(*value));
    return std::optional<Row>(std::move(row));
}

Result<std::vector<std::pair<ShardId, Row>>> Index::rows(std::optional<ShardId> after,
                                                         std::size_t limit) const {
    const auto snapshot = store_->snapshot();
    const auto it = snapshot->iterate();
    std::vector<std::pair<ShardId, Row>> out;
    it->seek(after ? after_key(row_key(*after)) : std::string(1, kRows));
    while (out.size() < limit && it->valid() && it->key().starts_with(kRows)) {
        const auto id = parse_id(it->key().substr(1));
        if (!id) return damaged("index key");
        TRY_ASSIGN(Row row, decode_row(it->value()));
        out.emplace_back(*id, std::move(row));
        it->next();
    }
    TRY(it->status());
    return out;
}

Result<std::vector<ShardInfo>> Index::list(std::optional<ShardId> after, std::size_t limit) const {
    TRY_ASSIGN(const auto found, rows(after, limit));
    std::vector<ShardInfo> out;
    out.reserve(found.size());
    for (const auto& [id, row] : found) {
        out.push_back(row.info(id));
    }
    return out;
}

Result<bool> Index::exists() const {
    TRY_ASSIGN(const std::optional<std::string> value, store_->get(kFormatKey));
    if (!value) return false;
    if (value->size() != 1) return damaged("index format");
    if (static_cast<std::uint8_t>(value->front()) > kIndexVersion) {
        return fail(Code::kUnsupported, "the shard index is of a newer version");
    }
    return true;
}

Result<void> Index::mark_created() {
    const auto batch = store_->batch();
    batch->put(kFormatKey, std::string(1, static_cast<char>(kIndexVersion)));
    return store_->write(*batch);
}

Result<std::map<std::uint32_t, SegmentRow>> Index::segments() const {
    const auto snapshot = store_->snapshot();
    const auto it = snapshot->iterate();
    std::map<std::uint32_t, SegmentRow> out;
    for (it->seek(std::string(1, kSegments)); it->valid() && it->key().starts_with(kSegments);
         it->next()) {
        if (it->key().size() != 5) return damaged("index key");
        TRY_ASSIGN(const SegmentRow row, decode_segment_row(it->value()));
        out.emplace(base::get_be32(it->key().data() + 1), row);
    }
    TRY(it->status());
    return out;
}

Result<std::vector<Hole>> Index::holes() const {
    const auto snapshot = store_->snapshot();
    const auto it = snapshot->iterate();
    std::vector<Hole> out;
    for (it->seek(std::string(1, kHoles)); it->valid() && it->key().starts_with(kHoles);
         it->next()) {
        if (it->key().size() != 9 || it->value().size() != 16) return damaged("hole row");
        Hole hole;
        hole.segment = base::get_be32(it->key().data() + 1);
        hole.offset = base::get_be32(it->key().data() + 5);
        hole.epoch = base::get_be64(it->value().data());
        hole.length = base::get_be64(it->value().data() + 8);
        out.push_back(hole);
    }
    TRY(it->status());
    return out;
}

Result<std::vector<ShardId>> Index::in_segment(std::uint32_t segment, std::optional<ShardId> after,
                                               std::size_t limit) const {
    const auto snapshot = store_->snapshot();
    const auto it = snapshot->iterate();
    const std::string prefix = segment_key(kExtents, segment);
    std::vector<ShardId> out;
    it->seek(after ? after_key(extent_key(segment, *after)) : prefix);
    while (out.size() < limit && it->valid() && it->key().starts_with(prefix)) {
        const auto id = parse_id(it->key().substr(prefix.size()));
        if (!id) return damaged("index key");
        out.push_back(*id);
        it->next();
    }
    TRY(it->status());
    return out;
}

Change::Change(Index* index, SegmentTable* table, Meters* meters)
    : index_(index), table_(table), meters_(meters), batch_(index->store()->batch()) {}

Result<std::optional<Row>> Change::lookup(ShardId id) const {
    const auto it = overlay_.find(id);
    if (it != overlay_.end()) return it->second;
    return index_->get(id);
}

void Change::count(const Row& row, std::int64_t sign) {
    HAMSTER_ASSERT(sign == 1 || sign == -1, sign);
    Delta& home = deltas_[row.home.segment];
    home.live += sign * small_span(row.home.length);
    home.records += sign;
    if (!row.large) return;
    std::uint64_t stripe = 0;
    for (std::size_t i = 0; i < row.large->extents.size(); ++i) {
        const Extent& extent = row.large->extents[i];
        const auto span = static_cast<std::int64_t>(row.large->extent_span(i, stripe));
        deltas_[extent.segment].live += sign * span;
        stripe += extent.slices;
    }
}

void Change::link(ShardId id, const Row& row, bool add) {
    if (!row.large) return;
    for (const Extent& extent : row.large->extents) {
        const std::string key = extent_key(extent.segment, id);
        if (add) {
            batch_->put(key, {});
        } else {
            batch_->erase(key);
        }
    }
}

void Change::free_extents(const Row& old, const Row* kept) {
    if (!old.large) return;
    std::uint64_t stripe = 0;
    for (std::size_t i = 0; i < old.large->extents.size(); ++i) {
        const Extent& extent = old.large->extents[i];
        const std::uint64_t span = old.large->extent_span(i, stripe);
        stripe += extent.slices;
        bool still_used = false;
        if (kept != nullptr && kept->large) {
            for (const Extent& other : kept->large->extents) still_used |= other == extent;
        }
        if (!still_used) add_hole({extent.segment, extent.epoch, extent.offset, span});
    }
}

void Change::set(ShardId id, const std::optional<Row>& old, const Row& row) {
    HAMSTER_ASSERT(!old || old->sequence < row.sequence, row.sequence);
    if (old) {
        count(*old, -1);
        link(id, *old, false);
        free_extents(*old, &row);
    } else {
        ++shards_;
    }
    count(row, 1);
    link(id, row, true);
    batch_->put(row_key(id), encode_row(row));
    overlay_[id] = row;
}

void Change::erase(ShardId id, const Row& old) {
    count(old, -1);
    link(id, old, false);
    free_extents(old, nullptr);
    batch_->erase(row_key(id));
    overlay_[id] = std::nullopt;
    --shards_;
}

void Change::add_hole(const Hole& hole) {
    HAMSTER_ASSERT(hole.length > 0 && hole.offset % base::kBlock == 0, hole.offset, hole.length);
    std::string value;
    base::put_be64(value, hole.epoch);
    base::put_be64(value, hole.length);
    batch_->put(hole_key(hole), value);
    freed_.push_back(hole);
}

void Change::drop_hole(const Hole& hole) { batch_->erase(hole_key(hole)); }

void Change::drop_segment(std::uint32_t segment) {
    batch_->erase(segment_key(kSegments, segment));
    const std::string holes = segment_key(kHoles, segment);
    batch_->erase_range(holes, after_prefix(holes));
    dropped_.insert(segment);
}

Result<std::vector<Hole>> Change::commit() {
    for (const auto& [id, delta] : deltas_) {
        const SegmentRef segment = table_->find(id);
        if (segment == nullptr || dropped_.contains(id)) continue;
        SegmentRow row;
        row.lane = segment->lane;
        row.sealed = segment->sealed;
        row.epoch = segment->epoch;
        row.end = segment->end;
        row.disk = segment->disk;
        row.live = segment->live + static_cast<std::uint64_t>(delta.live);
        row.records = segment->records + static_cast<std::uint64_t>(delta.records);
        row.last_sequence = segment->last_sequence;
        HAMSTER_ASSERT(static_cast<std::int64_t>(row.live) >= 0, id, segment->live, delta.live);
        HAMSTER_ASSERT(static_cast<std::int64_t>(row.records) >= 0, id, segment->records);
        batch_->put(segment_key(kSegments, id), encode_segment_row(row));
    }
    TRY(index_->store()->write(*batch_));
    for (const auto& [id, delta] : deltas_) {
        const SegmentRef segment = table_->find(id);
        if (segment == nullptr || dropped_.contains(id)) continue;
        segment->live += static_cast<std::uint64_t>(delta.live);
        segment->records += static_cast<std::uint64_t>(delta.records);
        meters_->add_live(delta.live);
    }
    meters_->add_shards(shards_);
    meters_->publish();
    return std::exchange(freed_, {});
}

}  // namespace hamster::shards
