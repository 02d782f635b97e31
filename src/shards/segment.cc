#include "shards/segment.h"

#include <fmt/format.h>

#include <cstring>

#include "base/assert.h"

namespace hamster::shards {

SegmentRef SegmentTable::find(std::uint32_t id) const {
    const auto map = all();
    const auto it = map->find(id);
    return it == map->end() ? nullptr : it->second;
}

std::shared_ptr<const SegmentTable::Map> SegmentTable::all() const {
    const std::lock_guard lock(mutex_);
    return map_;
}

void SegmentTable::swap_in(std::shared_ptr<const Map> map) {
    const std::lock_guard lock(mutex_);
    map_.swap(map);
}

void SegmentTable::put(const SegmentRef& segment) {
    HAMSTER_ASSERT(segment != nullptr);
    auto map = std::make_shared<Map>(*all());
    auto [it, added] = map->try_emplace(segment->id, segment);
    if (added) {
        meters_->add_segments(1);
    } else {
        meters_->add_disk(-static_cast<std::int64_t>(it->second->disk));
        it->second = segment;
    }
    meters_->add_disk(static_cast<std::int64_t>(segment->disk));
    swap_in(std::move(map));
}

void SegmentTable::erase(std::uint32_t id) {
    auto map = std::make_shared<Map>(*all());
    const auto it = map->find(id);
    HAMSTER_ASSERT(it != map->end(), id);
    meters_->add_segments(-1);
    meters_->add_disk(-static_cast<std::int64_t>(it->second->disk));
    map->erase(it);
    swap_in(std::move(map));
}

void SegmentTable::set_disk(Segment* segment, std::uint64_t bytes) {
    HAMSTER_ASSERT(find(segment->id).get() == segment, segment->id);
    meters_->add_disk(static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(segment->disk));
    segment->disk = bytes;
}

namespace {
constexpr std::string_view kSmallSuffix = ".small";
constexpr std::string_view kLargeSuffix = ".large";
}  // namespace

std::string segment_path(const std::string& dir, std::uint32_t id, Lane lane) {
    return fmt::format("{}/{:08x}{}", dir, id, lane == Lane::kSmall ? kSmallSuffix : kLargeSuffix);
}

std::optional<SegmentName> parse_segment_name(std::string_view name) {
    SegmentName out;
    if (name.ends_with(kSmallSuffix)) {
        out.lane = Lane::kSmall;
    } else if (name.ends_with(kLargeSuffix)) {
        out.lane = Lane::kLarge;
    } else {
        return std::nullopt;
    }
    static_assert(kSmallSuffix.size() == kLargeSuffix.size());
    name.remove_suffix(kSmallSuffix.size());
    if (name.size() != 8) return std::nullopt;
    for (const char c : name) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
        out.id = out.id * 16 + static_cast<std::uint32_t>(digit ? c - '0' : c - 'a' + 10);
    }
    return out;
}

runtime::Task<Result<void>> Directory::sync() {
    auto synced = co_await world_->disk.sync_dir(path_);
    if (!synced) ++failures_;
    co_return synced;
}

namespace {

// Two copies, so that one damaged block does not cost the segment.
base::Buffer header_blocks(std::uint32_t id, Lane lane, std::uint64_t epoch,
                           std::uint64_t sequence) {
    base::Buffer blocks(kSegmentStart);
    blocks.resize(kSegmentStart);
    std::memset(blocks.data(), 0, kSegmentStart);
    Header header;
    header.kind = Kind::kSegment;
    header.segment = id;
    header.epoch = epoch;
    header.stripe = static_cast<std::uint32_t>(lane);
    header.sequence = sequence;
    header.payload_hash = hash_payload({});
    encode_header(header, blocks.data());
    header.offset = base::kBlock;
    encode_header(header, blocks.data() + base::kBlock);
    return blocks;
}

runtime::Task<Result<void>> write_header(runtime::File* file, SegmentName name, std::uint64_t epoch,
                                         std::uint64_t sequence) {
    const base::Buffer blocks = header_blocks(name.id, name.lane, epoch, sequence);
    std::vector<base::Bytes> pieces{blocks.bytes()};
    auto written = co_await file->write_durable(0, std::move(pieces));
    co_return written;
}

runtime::Task<Result<void>> fill_new(runtime::World* world, runtime::File* file, Directory* dir,
                                     SegmentName name, std::uint64_t prewrite, std::uint64_t epoch,
                                     std::uint64_t sequence) {
    if (prewrite > 0) {
        auto allocated = co_await file->allocate(0, prewrite, true);
        CO_TRY(allocated);
    }
    auto written = co_await write_header(file, name, epoch, sequence);
    CO_TRY(written);
    const std::string path = segment_path(dir->path(), name.id, name.lane);
    auto renamed = co_await world->disk.rename(path + std::string(kNewSuffix), path);
    CO_TRY(renamed);
    auto synced = co_await dir->sync();
    co_return synced;
}

}  // namespace

runtime::Task<Result<SegmentRef>> create_segment(runtime::World* world, Directory* dir,
                                                 SegmentName name, std::uint64_t prewrite,
                                                 std::uint64_t sequence) {
    const std::string path = segment_path(dir->path(), name.id, name.lane);
    const std::string temporary = path + std::string(kNewSuffix);
    const std::uint64_t epoch = world->random.next();
    const std::uint64_t failures = dir->failures();
    auto opened = co_await world->disk.open(temporary, runtime::Disk::Mode::kCreate);
    CO_TRY_ASSIGN(std::unique_ptr<runtime::File> file, opened);
    auto filled = co_await fill_new(world, file.get(), dir, name, prewrite, epoch, sequence);
    if (filled && dir->failures() != failures) {
        filled = fail(Code::kIo, "the directory failed to sync; the new name may be lost");
    }
    if (!filled) {
        file.reset();
        // Either name may be the one on disk; what cannot be removed now, recovery drops: a
        // segment without records is dead.
        auto removed = co_await world->disk.remove(temporary);
        if (!removed) removed = co_await world->disk.remove(path);
        co_return std::unexpected(filled.error());
    }
    auto segment = std::make_shared<Segment>(name.id, name.lane, epoch, std::move(file));
    segment->disk = prewrite > 0 ? prewrite : kSegmentStart;
    segment->last_sequence = sequence;
    co_return segment;
}

runtime::Task<Result<SegmentRef>> recycle_segment(runtime::World* world, SegmentRef old,
                                                  std::uint64_t sequence) {
    HAMSTER_ASSERT(old->lane == Lane::kSmall && old->live == 0 && old->sealed, old->id, old->live);
    const std::uint64_t epoch = world->random.next();
    auto fresh = std::make_shared<Segment>(old->id, old->lane, epoch, old->file);
    fresh->disk = old->disk;
    fresh->last_sequence = sequence;
    const SegmentName name{old->id, old->lane};
    auto written = co_await write_header(old->file.get(), name, epoch, sequence);
    CO_TRY(written);
    co_return fresh;
}

runtime::Task<Result<std::optional<Header>>> read_segment_header(runtime::File* file) {
    base::Buffer blocks(kSegmentStart);
    blocks.resize(kSegmentStart);
    auto got = co_await file->read(0, blocks.writable());
    CO_TRY_ASSIGN(const std::size_t size, got);
    std::optional<Header> best;
    for (std::uint32_t at = 0; at + kHeaderBytes <= size; at += base::kBlock) {
        auto header = decode_header(blocks.bytes().subspan(at, kHeaderBytes));
        if (!header && header.error().code == Code::kUnsupported) {
            co_return std::unexpected(header.error());
        }
        if (!header || header->kind != Kind::kSegment || header->offset != at) continue;
        if (!best || header->sequence > best->sequence) best = *header;
    }
    co_return best;
}

}  // namespace hamster::shards
