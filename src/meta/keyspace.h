// Where each record lives in the ordered store. Bucket id first, so that ranges can be split among
// several Raft groups later. Pure. Format: docs/formats/keyspace.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace hamster::meta {

using base::BlobId;
using base::BucketId;
using base::UploadId;
using base::UserId;
using base::VersionId;

// First byte of every row.
enum class Table : unsigned char {
    kBucketByName = 'b',   // name -> Bucket
    kBucketCounters = 'n', // bucket id -> BucketCounters
    kVersion = 'v',        // bucket id | escaped key | ~version id -> Version; the truth
    kCurrent = 'c',        // bucket id | key -> Current; derived
    kUpload = 'u',         // bucket id | escaped key | upload id -> Upload
    kPart = 'p',           // upload id | part number (be32) -> Part
    kBlob = 'B',           // partition (be16) | blob id -> Blob
    kGarbage = 'g',        // partition (be16) | blob id -> Garbage
    kUser = 'U',           // user id -> User
    kUserByName = 'w',     // name -> user id
    kCredential = 'k',     // access key id -> Credential
    kRequest = 'r',        // request id -> Answer
    kRequestByTime = 't',  // stamp (be64) | request id -> nothing; expiry order
    kSystem = 's',         // "applied" -> LogIndex, "stamp", "cluster" -> ClusterInfo
};

// Order-preserving escape: 0x00 -> 0x00 0xFF, end -> 0x00 0x01, so that a key ends before any
// longer key that starts with it, whatever bytes follow.
std::string escape_key(std::string_view key);
// Reads one escaped key off the front of `row`; nullopt when malformed.
std::optional<std::string> unescape_key(std::string_view& row);

std::string bucket_row(std::string_view name);
std::string bucket_counters_row(const BucketId& bucket);
std::string version_row(const BucketId& bucket, std::string_view key, const VersionId& version);
std::string version_prefix(const BucketId& bucket, std::string_view key);  // all versions of a key
std::string versions_of_bucket(const BucketId& bucket);                    // prefix
std::string current_row(const BucketId& bucket, std::string_view key);
std::string currents_of_bucket(const BucketId& bucket);  // prefix
std::string upload_row(const BucketId& bucket, std::string_view key, const UploadId& upload);
std::string uploads_of_bucket(const BucketId& bucket);  // prefix
std::string part_row(const UploadId& upload, std::uint32_t number);
std::string parts_of_upload(const UploadId& upload);  // prefix
std::string blob_row(const BlobId& blob);
std::string garbage_row(const BlobId& blob);
std::string user_row(const UserId& user);
std::string user_name_row(std::string_view name);
std::string credential_row(std::string_view access_key_id);
std::string request_row(const base::RequestId& request);
std::string request_time_row(std::uint64_t stamp_ms, const base::RequestId& request);
std::string system_row(std::string_view name);
// The smallest row after every row that starts with `prefix`.
std::string after_prefix(std::string_view prefix);

}  // namespace hamster::meta
