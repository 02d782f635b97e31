#include "shards/recovery.h"

#include <algorithm>
#include <set>

#include "base/assert.h"
#include "base/log.h"
#include "shards/window.h"

namespace hamster::shards {

namespace {
constexpr std::size_t kBatchRows = 1024;  // rows per index change while replaying
}

runtime::Task<Result<void>> Recovery::run() {
    const std::string dir = core_->segments_dir.substr(0, core_->segments_dir.rfind('/'));
    const std::size_t slash = dir.rfind('/');
    auto marked = co_await find_mark();
    CO_TRY(marked);
    auto made = co_await core_->world->disk.make_dir(core_->segments_dir);
    CO_TRY(made);
    auto named = co_await core_->world->disk.sync_dir(dir);
    CO_TRY(named);
    named = co_await core_->world->disk.sync_dir(slash == std::string::npos ? ""
                                                                            : dir.substr(0, slash));
    CO_TRY(named);
    marked = co_await make_mark();
    CO_TRY(marked);
    auto done = co_await attempt();
    if (!done && done.error().code == Code::kCorrupt) {
        LOG_WARN("shards", "the index is damaged ({}): rebuilding it", done.error().context);
        core_->index.reset();
        auto wiped = co_await wipe_index();
        CO_TRY(wiped);
        done = co_await attempt();
    }
    co_return done;
}

// An unmounted disk leaves an empty directory, which looks like a new store.
runtime::Task<Result<void>> Recovery::find_mark() {
    auto listed = co_await core_->world->disk.list(core_->segments_dir);
    if (!listed && listed.error().code != Code::kNotFound) {
        co_return std::unexpected(std::move(listed).error());
    }
    const std::vector<std::string> names = std::move(listed).value_or(std::vector<std::string>());
    is_marked_ = std::ranges::find(names, kMarkFile) != names.end();
    // A store made before there were marks has segments.
    is_store_ = is_marked_ || std::ranges::any_of(names, [](const std::string& name) {
                    return parse_segment_name(name).has_value();
                });
    if (is_store_ || !core_->options.must_exist) co_return Result<void>();
    if (core_->options.accept_lost_segments) {
        LOG_ERROR("shards", "{}/ holds no segments: beginning anew, as told", core_->segments_dir);
        co_return Result<void>();
    }
    co_return fail(Code::kInvalid,
                   fmt::format("{0}/ is not the directory this node's segments are in, which hold "
                               "all objects: mount the disk that belongs there, or restore the "
                               "data directory as a whole from one backup. `hamster serve "
                               "-accept-lost-segments` gives up what was in it: shards that other "
                               "nodes can rebuild come back, all else is lost",
                               core_->segments_dir));
}

// Durable before the first segment is made.
runtime::Task<Result<void>> Recovery::make_mark() {
    if (is_marked_) co_return Result<void>();
    auto made = co_await runtime::write_file(
        &core_->world->disk, core_->segments_dir + "/" + std::string(kMarkFile),
        "The segments of a hamster node are in this directory.\n");
    // On a full disk the segments are mark enough; a later start makes it.
    if (!made && made.error().code == Code::kNoSpace && is_store_) co_return Result<void>();
    co_return made;
}

runtime::Task<Result<void>> Recovery::attempt() {
    for (const auto& [id, segment] : *core_->table.all()) {
        core_->meters.add_live(-static_cast<std::int64_t>(segment->live));
        core_->meters.add_shards(-static_cast<std::int64_t>(segment->records));
        core_->table.erase(id);
    }
    opened_.clear();
    states_.clear();
    rebuild_ = false;
    purged_ = false;
    replayed_ = 0;
    auto index = co_await open_index();
    CO_TRY(index);
    auto segments = co_await open_segments();
    CO_TRY(segments);
    CO_TRY(check_missing());
    CO_TRY(adopt_states());
    auto replayed = co_await replay_all();
    CO_TRY(replayed);
    auto settled = co_await settle_all();
    CO_TRY(settled);
    CO_TRY_ASSIGN(auto holes, core_->index->holes());
    reclaimer_->add(std::move(holes));
    if (rebuild_) {
        CO_TRY(core_->index->mark_created());
    }
    if (rebuild_ || replayed_ > 0 || purged_) {
        if (replayed_ > 0) LOG_INFO("shards", "{} records indexed anew", replayed_);
        auto flushed = co_await reclaimer_->flush();
        // Full disk: the next start replays once more.
        if (!flushed && flushed.error().code != Code::kNoSpace) co_return flushed;
    }
    core_->meters.publish();
    co_return Result<void>();
}

runtime::Task<Result<void>> Recovery::open_index() {
    // Rows are small and mostly read once: the system's page cache does well for what is not here.
    kv::Options options;
    options.cache_bytes = 24ULL << 20;
    options.write_buffer_bytes = 8ULL << 20;
    auto opened = co_await kv::open(core_->world, core_->index_dir, options);
    CO_TRY_ASSIGN(std::unique_ptr<kv::Store> store, opened);
    core_->index = std::make_unique<Index>(std::move(store));
    CO_TRY_ASSIGN(const bool exists, core_->index->exists());
    if (!exists) {
        // Its mark is written last: what is there without it is a rebuild that was cut short.
        rebuild_ = true;
        const auto batch = core_->index->store()->batch();
        batch->erase_range(std::string_view("\0", 1), "\xff");
        CO_TRY(core_->index->store()->write(*batch));
    }
    CO_TRY_ASSIGN(states_, core_->index->segments());
    co_return Result<void>();
}

runtime::Task<Result<void>> Recovery::wipe_index() {
    auto listed = co_await core_->world->disk.list(core_->index_dir);
    if (!listed && listed.error().code == Code::kNotFound) co_return Result<void>();
    CO_TRY_ASSIGN(const std::vector<std::string> names, listed);
    for (const std::string& name : names) {
        auto removed = co_await core_->world->disk.remove(core_->index_dir + "/" + name);
        CO_TRY(removed);
    }
    auto synced = co_await core_->world->disk.sync_dir(core_->index_dir);
    co_return synced;
}

runtime::Task<Result<void>> Recovery::open_segments() {
    auto listed = co_await core_->world->disk.list(core_->segments_dir);
    CO_TRY_ASSIGN(const std::vector<std::string> names, listed);
    for (const std::string& name : names) {
        if (name.ends_with(kNewSuffix)) {
            auto removed = co_await core_->world->disk.remove(core_->segments_dir + "/" + name);
            CO_TRY(removed);
            continue;
        }
        auto opened = co_await open_segment(name);
        CO_TRY(opened);
    }
    co_return Result<void>();
}

runtime::Task<Result<void>> Recovery::open_segment(std::string file_name) {
    if (file_name == kMarkFile) co_return Result<void>();
    const auto name = parse_segment_name(file_name);
    if (!name) {
        LOG_WARN("shards", "{}: not a segment, left alone", file_name);
        co_return Result<void>();
    }
    core_->next_segment = std::max(core_->next_segment, name->id + 1);
    auto opened = co_await core_->world->disk.open(core_->segments_dir + "/" + file_name,
                                                   runtime::Disk::Mode::kReadWrite);
    CO_TRY_ASSIGN(std::shared_ptr<runtime::File> file, opened);
    auto read = co_await read_segment_header(file.get());
    CO_TRY_ASSIGN(const std::optional<Header> header, read);
    const auto state = states_.find(name->id);
    std::uint64_t epoch = 0;
    if (header && header->segment == name->id) {
        epoch = header->epoch;
        core_->next_sequence = std::max(core_->next_sequence, header->sequence + 1);
    } else if (state != states_.end()) {
        LOG_ERROR("shards", "{}: header damaged, going on with the index's copy", file_name);
        epoch = state->second.epoch;
    } else {
        LOG_ERROR("shards", "{}: header damaged, its shards are not served", file_name);
        co_return Result<void>();
    }
    CO_TRY_ASSIGN(const std::uint64_t size, file->size());
    auto segment = std::make_shared<Segment>(name->id, name->lane, epoch, std::move(file));
    segment->disk = size;
    size_[name->id] = size;
    opened_[name->id] = std::move(segment);
    co_return Result<void>();
}

// Emptied on a disk too full to flush the index first, which may still count records in it.
bool Recovery::is_retired(const Segment& segment, const SegmentRow& row) const {
    return size_.at(segment.id) == kSegmentStart && segment.epoch == row.epoch &&
           row.end > kSegmentStart;
}

// A small segment of another epoch was recycled; large ones never are.
Result<void> Recovery::check_missing() const {
    std::uint64_t missing = 0;
    std::string first;
    for (const auto& [id, row] : states_) {
        if (row.live == 0) continue;
        const auto it = opened_.find(id);
        const bool is_there = it != opened_.end() && it->second->lane == row.lane &&
                              (row.lane == Lane::kSmall || it->second->epoch == row.epoch);
        if (is_there) continue;
        if (missing++ == 0) first = segment_path(core_->segments_dir, id, row.lane);
    }
    if (missing == 0) return {};
    if (core_->options.accept_lost_segments) {
        LOG_ERROR("shards",
                  "{} segments are missing, the first is {}: going on without the "
                  "shards in them, as told",
                  missing, first);
        return {};
    }
    return fail(Code::kInvalid,
                fmt::format("{} segment files that hold objects are missing, the first is {}: "
                            "mount the disk they are on, or restore the data directory as a whole "
                            "from one backup. `hamster serve -accept-lost-segments` gives up what "
                            "is in them: shards that other nodes can rebuild come back, all else "
                            "is lost",
                            missing, first));
}

// Segments the index knows take its bookkeeping; rows of those that are gone (or were recycled
// without the index hearing of it) are purged before the new ones join.
Result<void> Recovery::adopt_states() {
    std::map<std::uint32_t, SegmentRow> gone;
    for (const auto& [id, row] : states_) {
        core_->next_segment = std::max(core_->next_segment, id + 1);
        core_->next_sequence = std::max(core_->next_sequence, row.last_sequence + 1);
        const auto it = opened_.find(id);
        if (it == opened_.end() || it->second->epoch != row.epoch || it->second->lane != row.lane ||
            is_retired(*it->second, row)) {
            gone.emplace(id, row);
            continue;
        }
        Segment& segment = *it->second;
        segment.end = row.end;
        segment.live = row.live;
        segment.records = row.records;
        segment.last_sequence = row.last_sequence;
        segment.sealed = row.sealed;
        if (segment.lane == Lane::kLarge) segment.disk = std::min(segment.disk, row.disk);
        core_->meters.add_live(static_cast<std::int64_t>(row.live));
        core_->meters.add_shards(static_cast<std::int64_t>(row.records));
        core_->table.put(it->second);
    }
    TRY(purge(gone));
    for (const auto& [id, segment] : opened_) {
        if (core_->table.find(id) == nullptr) core_->table.put(segment);
    }
    return {};
}

Result<void> Recovery::purge(const std::map<std::uint32_t, SegmentRow>& gone) {
    if (gone.empty()) return {};
    purged_ = true;
    const bool any_live =
        std::ranges::any_of(gone, [](const auto& entry) { return entry.second.live > 0; });
    std::optional<ShardId> last;
    std::uint64_t purged = 0;
    while (any_live) {
        TRY_ASSIGN(const auto rows, core_->index->rows(last, kBatchRows));
        if (rows.empty()) break;
        last = rows.back().first;
        Change change = core_->change();
        for (const auto& [id, row] : rows) {
            bool stale = gone.contains(row.home.segment);
            if (row.large) {
                for (const Extent& extent : row.large->extents) {
                    stale |= gone.contains(extent.segment);
                }
            }
            if (!stale) continue;
            change.erase(id, row);
            // The count of shards is kept with the home segment, and a gone one was never added.
            if (gone.contains(row.home.segment)) core_->meters.add_shards(1);
            ++purged;
        }
        TRY(commit(&change));
    }
    if (purged > 0) LOG_WARN("shards", "{} shards of missing segments dropped", purged);
    Change change = core_->change();
    for (const auto& [id, row] : gone) {
        change.drop_segment(id);
    }
    return commit(&change);
}

Result<void> Recovery::commit(Change* change) {
    TRY_ASSIGN(auto freed, change->commit());
    // Their rows are in the index; the list of all holes is read at the end.
    freed.clear();
    return {};
}

runtime::Task<Result<void>> Recovery::replay_all() {
    const auto all = core_->table.all();
    for (const auto& [id, segment] : *all) {
        if (segment->lane != Lane::kSmall || segment->sealed) continue;
        auto done = co_await replay(segment);
        CO_TRY(done);
    }
    co_return Result<void>();
}

runtime::Task<Result<void>> Recovery::replay(SegmentRef segment) {
    Window window(segment->file.get(), segment->id, segment->epoch, segment->end,
                  size_[segment->id]);
    std::vector<Replayed> doubtful;
    bool more = true;
    while (more) {
        Change change = core_->change();
        change.touch(segment->id);
        for (std::size_t n = 0; n < kBatchRows; ++n) {
            auto step = co_await window.next();
            CO_TRY_ASSIGN(const std::optional<ScanRecord> record, step);
            more = record.has_value();
            if (!record) break;
            if (!record->payload_ok) {
                doubtful.push_back({record->header, record->next});
                continue;
            }
            if ((record->header.flags & kGroupStart) != 0) {
                // Groups are written one after the other: those before this one were complete,
                // so what does not verify there is damage, not a torn write. It stays indexed,
                // and reading it tells.
                for (const Replayed& held : doubtful) {
                    auto applied = co_await apply(&change, held.header, {});
                    CO_TRY(applied);
                }
                doubtful.clear();
            }
            std::string seal;
            if (record->header.kind == Kind::kSeal) seal = base::as_text(record->payload);
            segment->end = base::round_up(record->next, base::kBlock);
            auto applied = co_await apply(&change, record->header, std::move(seal));
            CO_TRY(applied);
        }
        CO_TRY(commit(&change));
    }
    co_return Result<void>();
}

runtime::Task<Result<void>> Recovery::apply(Change* change, Header header, std::string seal) {
    const ShardId id{header.blob, header.slot};
    core_->next_sequence = std::max(core_->next_sequence, header.sequence + 1);
    const SegmentRef segment = core_->table.find(header.segment);
    HAMSTER_ASSERT(segment != nullptr, header.segment);
    segment->last_sequence = std::max(segment->last_sequence, header.sequence);
    CO_TRY_ASSIGN(const std::optional<Row> before, change->lookup(id));
    if (before && before->sequence >= header.sequence) co_return Result<void>();
    Row row;
    row.sequence = header.sequence;
    row.sealed_ms = header.sealed_ms;
    row.home = {header.segment, header.offset, header.length};
    if (header.kind == Kind::kSeal) {
        auto checked = co_await check_seal(header, std::move(seal));
        CO_TRY_ASSIGN(row.large, checked);
        if (!row.large) co_return Result<void>();
    }
    change->set(id, before, row);
    ++replayed_;
    co_return Result<void>();
}

// nullopt: the seal does not count, because what it seals is gone.
runtime::Task<Result<std::optional<Geometry>>> Recovery::check_seal(Header header,
                                                                    std::string seal) {
    std::string_view in(seal);
    auto geometry = decode_geometry(in);
    if (!geometry) {
        LOG_ERROR("shards", "a damaged seal: blob {} is lost here", header.blob.hex());
        co_return std::optional<Geometry>();
    }
    for (const Extent& extent : geometry->extents) {
        const SegmentRef segment = core_->table.find(extent.segment);
        if (segment == nullptr || segment->epoch != extent.epoch) {
            co_return std::optional<Geometry>();
        }
    }
    if (!rebuild_) co_return std::optional<Geometry>(std::move(*geometry));
    // Without an index nobody remembers removals. A removed shard was punched: where its first
    // slice's header was there are zeros now, or the end of the file.
    const Extent first = geometry->extents.front();
    const SegmentRef segment = core_->table.find(first.segment);
    base::Buffer block(base::kBlock);
    block.resize(base::kBlock);
    const std::uint64_t at = first.offset + large_span(geometry->slice_length(0)) - base::kBlock;
    auto got = co_await segment->file->read(at, block.writable());
    CO_TRY_ASSIGN(const std::size_t size, got);
    const bool punched =
        size < base::kBlock ||
        std::ranges::all_of(block.bytes(), [](std::byte b) { return b == std::byte{0}; });
    if (punched) co_return std::optional<Geometry>();
    co_return std::optional<Geometry>(std::move(*geometry));
}

runtime::Task<Result<void>> Recovery::settle_all() {
    const auto all = core_->table.all();
    Change change = core_->change();
    for (const auto& [id, segment] : *all) {
        if (segment->sealed) continue;
        Result<void> settled;
        if (segment->lane == Lane::kSmall) {
            settled = co_await settle_small(segment);
        } else {
            settled = co_await settle_large(segment);
        }
        CO_TRY(settled);
        segment->sealed = true;
        change.touch(id);
    }
    CO_TRY(commit(&change));
    reclaimer_->note_death();
    co_return Result<void>();
}

// Nothing is appended behind a tail that may be torn: the rest of the file goes back to the disk.
// A segment without a live record stays whole, to be recycled.
runtime::Task<Result<void>> Recovery::settle_small(SegmentRef segment) {
    if (segment->live == 0 || segment->end >= size_[segment->id]) co_return Result<void>();
    auto cut = co_await segment->file->truncate(segment->end);
    CO_TRY(cut);
    auto synced = co_await segment->file->sync();
    CO_TRY(synced);
    core_->table.set_disk(segment.get(), segment->end);
    co_return Result<void>();
}

// Punches whatever no shard uses: unfinished ones, and room reserved ahead.
runtime::Task<Result<void>> Recovery::settle_large(SegmentRef segment) {
    if (segment->live == 0) co_return Result<void>();
    CO_TRY_ASSIGN(const std::vector<ShardId> ids,
                  core_->index->in_segment(segment->id, std::nullopt, SIZE_MAX));
    std::vector<std::pair<std::uint64_t, std::uint64_t>> used{{0, kSegmentStart}};
    for (const ShardId& id : ids) {
        CO_TRY_ASSIGN(const std::optional<Row> row, core_->index->get(id));
        if (!row || !row->large) continue;
        std::uint64_t stripe = 0;
        for (std::size_t i = 0; i < row->large->extents.size(); ++i) {
            const Extent& extent = row->large->extents[i];
            const std::uint64_t span = row->large->extent_span(i, stripe);
            stripe += extent.slices;
            if (extent.segment == segment->id) used.emplace_back(extent.offset, span);
        }
    }
    std::ranges::sort(used);
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;
    for (const auto& [offset, span] : used) {
        if (offset > end) {
            auto punched = co_await segment->file->punch(end, offset - end);
            CO_TRY(punched);
        }
        end = std::max(end, offset + span);
        bytes += span;
    }
    if (end < size_[segment->id]) {
        auto cut = co_await segment->file->truncate(end);
        CO_TRY(cut);
    }
    auto synced = co_await segment->file->sync();
    CO_TRY(synced);
    segment->end = end;
    core_->table.set_disk(segment.get(), bytes);
    co_return Result<void>();
}

}  // namespace hamster::shards
