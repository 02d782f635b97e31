// Typed queries over one snapshot of the metadata. Reads only; any thread; cheap to copy.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kv/store.h"
#include "meta/keyspace.h"
#include "meta/layout.h"
#include "proto/raft.pb.h"
#include "proto/records.pb.h"

namespace hamster::meta {

struct CurrentEntry {
    std::string key;
    proto::Current current;
};
struct VersionEntry {
    std::string key;
    proto::Version version;
    bool is_latest = false;
};
struct UploadEntry {
    std::string key;
    proto::Upload upload;
};

// One page of a listing. `prefixes` are common prefixes; entries and prefixes together count
// towards the limit. `truncated` with the position to go on from.
template <class Entry>
struct Page {
    std::vector<Entry> entries;
    std::vector<std::string> prefixes;
    bool truncated = false;
    // The last key or common prefix in this page: listing goes on after it (for a prefix: after
    // everything that starts with it).
    std::string last;
    bool last_is_prefix = false;
};

struct ListQuery {
    std::string prefix;
    std::string delimiter;         // may be several characters; empty: none
    std::string after;             // exclusive start key; empty: from the beginning
    bool after_is_prefix = false;  // skip all that starts with `after` too
    std::size_t limit = 1000;
};

// How a visited page ended; as in Page.
struct PageEnd {
    bool truncated = false;
    std::string last;
    bool last_is_prefix = false;
};
// Gets a listing row by row, without owning copies: what is passed is valid during the call only.
class CurrentVisitor {
  public:
    virtual ~CurrentVisitor() = default;
    virtual void on_key(std::string_view key, const proto::Current& current) = 0;
    virtual void on_prefix(std::string_view prefix) = 0;
};

class View {
  public:
    explicit View(std::shared_ptr<const kv::Snapshot> snapshot) : snapshot_(std::move(snapshot)) {}
    // All of it, for who compares replicas.
    [[nodiscard]] const kv::Snapshot& rows() const { return *snapshot_; }

    [[nodiscard]] Result<std::optional<proto::Bucket>> bucket(std::string_view name) const;
    // In name order, `owner` nullopt: all.
    [[nodiscard]] Result<std::vector<proto::Bucket>> buckets(std::optional<base::UserId> owner,
                                                             std::string_view prefix,
                                                             std::string_view after,
                                                             std::size_t limit) const;
    [[nodiscard]] Result<proto::BucketCounters> counters(const BucketId& bucket) const;

    // The newest version (it may be a delete marker); nullopt when the key has none.
    [[nodiscard]] Result<std::optional<proto::Version>> newest(const BucketId& bucket,
                                                               std::string_view key) const;
    [[nodiscard]] Result<std::optional<proto::Version>> version(const BucketId& bucket,
                                                                std::string_view key,
                                                                const VersionId& id) const;
    // Seeks past delimiters: cost grows with what is returned, not with what is skipped.
    [[nodiscard]] Result<Page<CurrentEntry>> list_current(const BucketId& bucket,
                                                          const ListQuery& query) const;
    // The same page as list_current(), straight from the store: the fast way to render one.
    [[nodiscard]] Result<PageEnd> visit_current(const BucketId& bucket, const ListQuery& query,
                                                CurrentVisitor& visitor) const;
    // Keys ascending, versions of a key newest first. `after_version` continues inside
    // `query.after`.
    [[nodiscard]] Result<Page<VersionEntry>> list_versions(
        const BucketId& bucket, const ListQuery& query,
        std::optional<VersionId> after_version) const;
    // Keys ascending, uploads of a key by initiation. `after_upload` continues inside
    // `query.after`.
    [[nodiscard]] Result<Page<UploadEntry>> list_uploads(
        const BucketId& bucket, const ListQuery& query,
        std::optional<base::UploadId> after_upload) const;
    [[nodiscard]] Result<std::optional<proto::Upload>> upload(const BucketId& bucket,
                                                              std::string_view key,
                                                              const base::UploadId& id) const;
    // Part numbers > `after`, ascending.
    [[nodiscard]] Result<std::vector<proto::Part>> parts(const base::UploadId& upload,
                                                         std::uint32_t after,
                                                         std::size_t limit) const;

    // The live blob whose shards bear this id; for the id that a part names see find_blob().
    [[nodiscard]] Result<std::optional<proto::Blob>> blob(const base::BlobId& id) const;
    // The live blob that parts call `named`, also after it was re-encoded under another id.
    [[nodiscard]] Result<std::optional<BlobEntry>> find_blob(const BlobId& named) const;
    // Live blobs of a partition in id order, after `after`.
    [[nodiscard]] Result<std::vector<BlobEntry>> blobs_of(std::uint16_t partition,
                                                          std::optional<BlobId> after,
                                                          std::size_t limit) const;
    // Live blobs with a missing slot in id order, after `after`.
    [[nodiscard]] Result<std::vector<BlobEntry>> degraded(std::optional<BlobId> after,
                                                          std::size_t limit) const;
    // What geometries blobs have, by k and m. Empty before the layout has a row: nobody counts yet.
    [[nodiscard]] Result<std::vector<GeometryEntry>> geometries() const;
    // Never absent: first_layout() without a row.
    [[nodiscard]] Result<proto::Layout> layout() const;
    // first_places() without a row: the founder, or zeros when there is none yet. partition < 4096.
    [[nodiscard]] Result<PartitionPlaces> places(std::uint16_t partition) const;
    struct GarbageEntry {
        base::BlobId blob;
        proto::Garbage garbage;
    };
    // Garbage rows in blob id order, after `after`.
    [[nodiscard]] Result<std::vector<GarbageEntry>> garbage(std::optional<base::BlobId> after,
                                                            std::size_t limit) const;
    // True when the blob whose shards bear this id has a row, as live or as garbage. The name of
    // a blob that was re-encoded is no such id any more.
    [[nodiscard]] Result<bool> knows_blob(const base::BlobId& id) const;

    [[nodiscard]] Result<std::optional<proto::Credential>> credential(
        std::string_view access_key_id) const;
    [[nodiscard]] Result<std::vector<proto::Credential>> credentials_of(base::UserId user) const;
    [[nodiscard]] Result<std::optional<proto::User>> user(const base::UserId& id) const;
    [[nodiscard]] Result<std::optional<proto::User>> user_by_name(std::string_view name) const;
    [[nodiscard]] Result<std::vector<proto::User>> users() const;
    [[nodiscard]] Result<proto::ClusterInfo> cluster() const;

    // The members, in id order; at most kMaxNodes.
    [[nodiscard]] Result<std::vector<proto::Node>> nodes() const;
    [[nodiscard]] Result<std::optional<proto::Node>> node(const NodeId& id) const;
    [[nodiscard]] Result<std::optional<proto::Node>> node_by_name(std::string_view name) const;
    // Whether the id was a member's once and is not any more.
    [[nodiscard]] Result<bool> is_removed(const NodeId& id) const;
    struct RemovedEntry {
        NodeId id;
        proto::RemovedNode node;
    };
    [[nodiscard]] Result<std::vector<RemovedEntry>> removed_nodes() const;
    // Blobs whose holder is the node, live and garbage; 0 of any node before the trust is founded.
    [[nodiscard]] Result<std::uint64_t> blobs_held(const NodeId& id) const;
    // In id order; at most kMaxTokens, expired and used ones among them.
    [[nodiscard]] Result<std::vector<proto::JoinToken>> tokens() const;
    [[nodiscard]] Result<std::optional<proto::JoinToken>> token(const TokenId& id) const;
    [[nodiscard]] Result<std::optional<proto::Trust>> trust() const;
    // Who takes part in consensus; nullopt until the group has written it.
    [[nodiscard]] Result<std::optional<proto::Membership>> membership() const;

  private:
    std::shared_ptr<const kv::Snapshot> snapshot_;
};

}  // namespace hamster::meta
