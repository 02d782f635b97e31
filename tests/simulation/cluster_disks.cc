#include "cluster_disks.h"

#include <optional>
#include <utility>

#include "base/bytes.h"
#include "shards/record.h"
#include "shards/segment.h"

namespace hamster::simulation {

namespace {

std::string path_of(const std::string& name) { return std::string(kSegmentsDir) + "/" + name; }

// Small lane: a header, and its payload behind it, at a multiple of 8.
std::optional<LyingSlice> packed_at(std::string_view content, std::size_t at) {
    if (at + shards::kHeaderBytes > content.size()) return std::nullopt;
    const auto header =
        shards::decode_header(base::as_bytes(content.substr(at, shards::kHeaderBytes)));
    if (!header || header->kind != shards::Kind::kSlice || header->offset != at) {
        return std::nullopt;
    }
    LyingSlice slice{{header->blob, header->slot},
                     header->stripe,
                     {},
                     at + shards::kHeaderBytes,
                     header->length};
    if (slice.payload_at + slice.length > content.size()) return std::nullopt;
    const auto payload = base::as_bytes(content.substr(slice.payload_at, slice.length));
    if (shards::hash_payload(payload) != header->payload_hash) return std::nullopt;
    return slice;
}

// Large lane: whole blocks, the header in the last bytes of the last one.
std::optional<LyingSlice> ending_at(std::string_view content, std::size_t end) {
    const auto header = shards::decode_header(
        base::as_bytes(content.substr(end - shards::kHeaderBytes, shards::kHeaderBytes)));
    if (!header || header->kind != shards::Kind::kSlice) return std::nullopt;
    const std::uint32_t span = shards::large_span(header->length);
    if (span > end || header->offset != end - span) return std::nullopt;
    LyingSlice slice{{header->blob, header->slot}, header->stripe, {}, end - span, header->length};
    const auto payload = base::as_bytes(content.substr(slice.payload_at, slice.length));
    if (shards::hash_payload(payload) != header->payload_hash) return std::nullopt;
    return slice;
}

void add_slices(std::string_view content, shards::Lane lane, const std::string& path,
                std::vector<LyingSlice>& out) {
    const std::size_t step = lane == shards::Lane::kSmall ? 8 : base::kBlock;
    const std::size_t skipped = shards::kSegmentStart + (lane == shards::Lane::kLarge ? step : 0);
    for (std::size_t at = skipped; at <= content.size(); at += step) {
        auto slice = lane == shards::Lane::kSmall ? packed_at(content, at) : ending_at(content, at);
        if (!slice) continue;
        slice->path = path;
        out.push_back(std::move(*slice));
    }
}

}  // namespace

std::vector<LyingSlice> slices_on(const runtime::sim::Machine& machine) {
    std::vector<LyingSlice> out;
    for (const std::string& name : machine.durable_names(std::string(kSegmentsDir))) {
        const auto parsed = shards::parse_segment_name(name);
        if (!parsed) continue;
        const auto content = machine.durable_content(path_of(name));
        if (content) add_slices(*content, parsed->lane, path_of(name), out);
    }
    return out;
}

void rot(runtime::sim::Machine& machine, const LyingSlice& slice, runtime::Prng& random) {
    // The file may be on its way out.
    if (machine.size_of(slice.path) < slice.payload_at + slice.length) return;
    machine.flip_bit(slice.path, slice.payload_at * 8 + random.below(slice.length * 8ULL));
}

int rot_anywhere(runtime::sim::Machine& machine, int bits, runtime::Prng& random) {
    std::vector<std::pair<std::string, std::uint64_t>> files;
    for (const std::string& name : machine.durable_names(std::string(kSegmentsDir))) {
        const auto content = machine.durable_content(path_of(name));
        if (!shards::parse_segment_name(name) || !content) continue;
        // Zeros at the end were never written.
        const std::size_t last = content->find_last_not_of('\0');
        if (last == std::string::npos || last < base::kBlock) continue;
        if (machine.size_of(path_of(name)) <= last) continue;  // on its way out
        files.emplace_back(path_of(name), last + 1);
    }
    if (files.empty()) return 0;
    for (int i = 0; i < bits; ++i) {
        const auto& [path, size] = files[random.below(files.size())];
        // One copy of the segment's own header stays.
        const std::uint64_t from = base::kBlock;
        machine.flip_bit(path, from * 8 + random.below((size - from) * 8));
    }
    return bits;
}

}  // namespace hamster::simulation
