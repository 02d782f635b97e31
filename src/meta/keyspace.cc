#include "meta/keyspace.h"

#include "base/assert.h"
#include "base/encoding.h"
#include "base/partitions.h"

namespace hamster::meta {

namespace {

constexpr char kEscape = '\x00';
constexpr char kEscapedNul = '\xFF';
constexpr char kEnd = '\x01';
constexpr int kUuidTimeBits = 48;

std::string row(Table table, std::string_view a, std::string_view b = {}, std::string_view c = {}) {
    std::string out;
    out.reserve(1 + a.size() + b.size() + c.size());
    out.push_back(static_cast<char>(table));
    out.append(a).append(b).append(c);
    return out;
}

void append_escaped(std::string& out, std::string_view key) {
    for (;;) {
        const std::size_t nul = key.find('\0');
        out.append(key.substr(0, nul));
        if (nul == std::string_view::npos) break;
        out.push_back(kEscape);
        out.push_back(kEscapedNul);
        key.remove_prefix(nul + 1);
    }
    out.push_back(kEscape);
    out.push_back(kEnd);
}

// table | bucket | escaped key | (room for one id)
std::string keyed(Table table, const BucketId& bucket, std::string_view key) {
    std::string out;
    out.reserve(1 + 16 + key.size() + 2 + 16);
    out.push_back(static_cast<char>(table));
    out.append(bucket.view());
    append_escaped(out, key);
    return out;
}

std::string partition_keyed(Table table, std::uint16_t partition) {
    HAMSTER_ASSERT(partition < base::partitions(), partition);
    std::string out(1, static_cast<char>(table));
    base::put_be16(out, partition);
    return out;
}

std::string blob_keyed(Table table, const BlobId& blob) {
    std::string out = partition_keyed(table, base::partition_of(blob));
    out.append(blob.view());
    HAMSTER_ASSERT(out.size() == 19, out.size());
    return out;
}

}  // namespace

std::string escape_key(std::string_view key) {
    std::string out;
    out.reserve(key.size() + 2);
    append_escaped(out, key);
    return out;
}

std::string escape_prefix(std::string_view prefix) {
    std::string out = escape_key(prefix);
    out.resize(out.size() - 2);
    return out;
}

std::optional<std::string> unescape_key(std::string_view& row) {
    std::string out;
    for (;;) {
        const std::size_t mark = row.find(kEscape);
        if (mark == std::string_view::npos || mark + 1 >= row.size()) return std::nullopt;
        out.append(row.substr(0, mark));
        const char kind = row[mark + 1];
        row.remove_prefix(mark + 2);
        if (kind == kEnd) return out;
        if (kind != kEscapedNul) return std::nullopt;
        out.push_back('\0');
    }
}

VersionId commit_order_id(std::uint64_t stamp_ms, base::LogIndex index) {
    HAMSTER_ASSERT(stamp_ms >> kUuidTimeBits == 0, stamp_ms);
    HAMSTER_ASSERT(index.value != 0);
    // RFC 9562 section 5.7: 48 bits time, 4 version, 12 rand_a, 2 variant, 62 rand_b. The index
    // takes rand_a and the upper 52 bits of rand_b (section 6.2, a counter instead of random bits).
    const std::uint64_t high = stamp_ms << 16 | 0x7000U | index.value >> 52;
    const std::uint64_t low = std::uint64_t{2} << 62 | (index.value << 12 >> 12) << 10;
    std::string bytes;
    base::put_be64(bytes, high);
    base::put_be64(bytes, low);
    return *VersionId::from_bytes(bytes);
}

base::RequestId mint_request_id(std::uint64_t stamp_ms, const base::RequestId& random) {
    HAMSTER_ASSERT(stamp_ms >> kUuidTimeBits == 0, stamp_ms);
    return base::RequestId{base::uuid_v7(stamp_ms, random.raw)};
}

std::uint64_t uuid_ms(std::string_view id) {
    HAMSTER_ASSERT(id.size() == 16, id.size());
    return base::get_be64(id.data()) >> 16;
}

std::string bucket_row(std::string_view name) { return row(Table::kBucketByName, name); }
std::string bucket_id_row(const BucketId& bucket) { return row(Table::kBucketById, bucket.view()); }
std::string bucket_owner_row(const UserId& owner, std::string_view name) {
    return row(Table::kBucketByOwner, owner.view(), name);
}
std::string buckets_of_owner(const UserId& owner) {
    return row(Table::kBucketByOwner, owner.view());
}
std::string bucket_counters_row(const BucketId& bucket) {
    return row(Table::kBucketCounters, bucket.view());
}

std::string version_row(const BucketId& bucket, std::string_view key, const VersionId& version) {
    std::string out = keyed(Table::kVersion, bucket, key);
    for (const std::byte b : version.raw) {
        out.push_back(static_cast<char>(~b));
    }
    return out;
}
std::string version_prefix(const BucketId& bucket, std::string_view key) {
    return keyed(Table::kVersion, bucket, key);
}
std::string versions_of_bucket(const BucketId& bucket) {
    return row(Table::kVersion, bucket.view());
}
std::string current_row(const BucketId& bucket, std::string_view key) {
    return row(Table::kCurrent, bucket.view(), key);
}
std::string currents_of_bucket(const BucketId& bucket) {
    return row(Table::kCurrent, bucket.view());
}

std::string upload_row(const BucketId& bucket, std::string_view key, const UploadId& upload) {
    return keyed(Table::kUpload, bucket, key).append(upload.view());
}
std::string upload_prefix(const BucketId& bucket, std::string_view key) {
    return keyed(Table::kUpload, bucket, key);
}
std::string uploads_of_bucket(const BucketId& bucket) { return row(Table::kUpload, bucket.view()); }
std::string upload_id_row(const UploadId& upload) { return row(Table::kUploadById, upload.view()); }
std::string part_row(const UploadId& upload, std::uint32_t number) {
    std::string out = parts_of_upload(upload);
    base::put_be32(out, number);
    return out;
}
std::string parts_of_upload(const UploadId& upload) { return row(Table::kPart, upload.view()); }
std::string finished_upload_row(const UploadId& upload) {
    return row(Table::kFinishedUpload, upload.view());
}
std::string finished_time_row(std::uint64_t finished_ms, const UploadId& upload) {
    std::string out = table_prefix(Table::kFinishedByTime);
    base::put_be64(out, finished_ms);
    return out.append(upload.view());
}

std::string blob_row(const BlobId& blob) { return blob_keyed(Table::kBlob, blob); }
std::string garbage_row(const BlobId& blob) { return blob_keyed(Table::kGarbage, blob); }
std::string blobs_of_partition(std::uint16_t partition) {
    return partition_keyed(Table::kBlob, partition);
}
std::string degraded_row(const BlobId& blob) { return blob_keyed(Table::kDegraded, blob); }
std::string alias_row(const BlobId& named) { return blob_keyed(Table::kAlias, named); }
std::string layout_row(std::uint16_t partition) {
    return partition_keyed(Table::kLayout, partition);
}
std::string geometry_row(Geometry geometry) {
    std::string out = table_prefix(Table::kGeometry);
    base::put_be16(out, geometry.k);
    base::put_be16(out, geometry.m);
    return out;
}
std::optional<Geometry> geometry_of_row(std::string_view row) {
    constexpr std::size_t kAt = 1;
    constexpr std::size_t kBytes = 2 * sizeof(std::uint16_t);
    if (row.size() != kAt + kBytes || row.front() != static_cast<char>(Table::kGeometry)) {
        return std::nullopt;
    }
    return Geometry{base::get_be16(row.data() + kAt),
                    base::get_be16(row.data() + kAt + sizeof(std::uint16_t))};
}
std::string user_row(const UserId& user) { return row(Table::kUser, user.view()); }
std::string user_name_row(std::string_view name) { return row(Table::kUserByName, name); }
std::string credential_row(std::string_view access_key_id) {
    return row(Table::kCredential, access_key_id);
}
std::string request_row(const base::RequestId& request) {
    return row(Table::kRequest, request.view());
}
std::string requests_since(std::uint64_t minted_ms) {
    std::string time;
    base::put_be64(time, minted_ms << 16);
    return row(Table::kRequest, std::string_view(time).substr(0, kUuidTimeBits / 8));
}
std::string node_row(const NodeId& node) { return row(Table::kNode, node.view()); }
std::string node_name_row(std::string_view name) { return row(Table::kNodeByName, name); }
std::string removed_node_row(const NodeId& node) { return row(Table::kRemovedNode, node.view()); }
std::string blobs_held_row(const NodeId& node) { return row(Table::kBlobsHeld, node.view()); }
std::string token_row(const TokenId& token) { return row(Table::kToken, token.view()); }
std::string system_row(std::string_view name) { return row(Table::kSystem, name); }
std::string table_prefix(Table table) { return std::string(1, static_cast<char>(table)); }

std::string after_prefix(std::string_view prefix) {
    std::string out(prefix);
    while (!out.empty() && out.back() == '\xFF') {
        out.pop_back();
    }
    if (!out.empty()) {
        out.back() = static_cast<char>(static_cast<unsigned char>(out.back()) + 1);
    }
    return out;
}

}  // namespace hamster::meta
