// Where each record lives in the ordered store. Bucket id first, so that ranges can be split among
// several Raft groups later. Pure. Format: docs/formats/keyspace.md.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "crypto/join_token.h"

namespace hamster::meta {

using base::BlobId;
using base::BucketId;
using base::NodeId;
using base::UploadId;
using base::UserId;
using base::VersionId;
using crypto::TokenId;

// First byte of every row.
enum class Table : unsigned char {
    kBucketByName = 'b',    // name -> Bucket
    kBucketById = 'i',      // bucket id -> name
    kBucketByOwner = 'o',   // user id | name -> bucket id
    kBucketCounters = 'n',  // bucket id -> BucketCounters
    kVersion = 'v',         // bucket id | escaped key | ~version id -> Version; the truth
    kCurrent = 'c',         // bucket id | key -> Current; derived
    kUpload = 'u',          // bucket id | escaped key | upload id -> Upload
    kUploadById = 'x',      // upload id -> bucket id | key; keeps upload ids unique
    kPart = 'p',            // upload id | part number (be32) -> Part
    kFinishedUpload = 'f',  // upload id -> FinishedUpload
    kFinishedByTime = 'F',  // finished_ms (be64) | upload id -> nothing; expiry order
    kBlob = 'B',            // partition (be16) | blob id -> Blob
    kGarbage = 'g',         // partition (be16) | blob id -> Garbage
    kDegraded = 'D',        // partition | blob id -> nothing: a live blob with missing slots
    kAlias = 'A',           // partition | blob id that parts name -> the id it lies under now
    kGeometry = 'G',        // k (be16) | m (be16) -> GeometryCount; it exists while it is not 0
    kLayout = 'L',          // partition (be16) -> PartitionLayout
    kUser = 'U',            // user id -> User
    kUserByName = 'w',      // name -> user id
    kCredential = 'k',      // access key id -> Credential
    kRequest = 'r',         // request id -> Answer; a request id starts with its time
    kNode = 'N',            // node id -> Node; the members
    kNodeByName = 'm',      // name -> node id
    kRemovedNode = 'R',     // node id -> RemovedNode; never a member again
    kBlobsHeld = 'h',       // node id -> BlobsHeld; it exists exactly while it is not 0
    kToken = 'j',           // token id -> JoinToken
    kSystem = 's',          // "applied" -> Applied, "cluster" -> ClusterInfo,
                            // "finished" -> the kFinishedByTime row to go on from,
                            // "trust" -> Trust, "membership" -> Membership,
                            // "layout" -> Layout
};

// Order-preserving escape: 0x00 -> 0x00 0xFF, end -> 0x00 0x01, so that a key ends before any
// longer key that starts with it, whatever bytes follow.
std::string escape_key(std::string_view key);
// The same without the end: what the escaped forms of all keys that start with `prefix` start with.
std::string escape_prefix(std::string_view prefix);
// Reads one escaped key off the front of `row`; nullopt when malformed.
std::optional<std::string> unescape_key(std::string_view& row);

// The id of the version that log entry `index` commits: a UUIDv7 of its stamp whose next 64 free
// bits are the index. Byte order is commit order, within one millisecond too.
VersionId commit_order_id(std::uint64_t stamp_ms, base::LogIndex index);
// A request id that apply accepts until kRequestMemoryMs after `stamp_ms`.
base::RequestId mint_request_id(std::uint64_t stamp_ms, const base::RequestId& random);
// The first 48 bits of a UUIDv7: ms since 1970.
std::uint64_t uuid_ms(std::string_view id);

std::string bucket_row(std::string_view name);
std::string bucket_id_row(const BucketId& bucket);
std::string bucket_owner_row(const UserId& owner, std::string_view name);
std::string buckets_of_owner(const UserId& owner);  // prefix
std::string bucket_counters_row(const BucketId& bucket);
// The versions of a key newest first. The null version (all zeros) has the last row, all ones, for
// good: it is replaced in place and found by one read. Its place in time is in its value.
std::string version_row(const BucketId& bucket, std::string_view key, const VersionId& version);
std::string version_prefix(const BucketId& bucket, std::string_view key);  // all versions of a key
std::string versions_of_bucket(const BucketId& bucket);                    // prefix
std::string current_row(const BucketId& bucket, std::string_view key);
std::string currents_of_bucket(const BucketId& bucket);  // prefix
std::string upload_row(const BucketId& bucket, std::string_view key, const UploadId& upload);
std::string upload_prefix(const BucketId& bucket, std::string_view key);  // all uploads of a key
std::string uploads_of_bucket(const BucketId& bucket);                    // prefix
std::string upload_id_row(const UploadId& upload);
std::string part_row(const UploadId& upload, std::uint32_t number);
std::string parts_of_upload(const UploadId& upload);  // prefix
std::string finished_upload_row(const UploadId& upload);
std::string finished_time_row(std::uint64_t finished_ms, const UploadId& upload);
std::string blob_row(const BlobId& blob);
std::string garbage_row(const BlobId& blob);
std::string blobs_of_partition(std::uint16_t partition);  // prefix: the live ones
std::string degraded_row(const BlobId& blob);
std::string alias_row(const BlobId& named);
std::string layout_row(std::uint16_t partition);
struct Geometry {
    std::uint16_t k = 0;
    std::uint16_t m = 0;
    auto operator<=>(const Geometry&) const = default;
};
std::string geometry_row(Geometry geometry);
// nullopt: not such a row.
std::optional<Geometry> geometry_of_row(std::string_view row);
std::string user_row(const UserId& user);
std::string user_name_row(std::string_view name);
std::string credential_row(std::string_view access_key_id);
std::string request_row(const base::RequestId& request);
// Below every request row minted at `minted_ms` or later.
std::string requests_since(std::uint64_t minted_ms);
std::string node_row(const NodeId& node);
std::string node_name_row(std::string_view name);
std::string removed_node_row(const NodeId& node);
std::string blobs_held_row(const NodeId& node);
std::string token_row(const TokenId& token);
std::string system_row(std::string_view name);
std::string table_prefix(Table table);
// The smallest row after every row that starts with `prefix`; empty when there is none.
std::string after_prefix(std::string_view prefix);

}  // namespace hamster::meta
