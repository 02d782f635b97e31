// Named limits of the metadata, with their units and reasons.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hamster::meta {

inline constexpr std::size_t kMaxKeyBytes = 1024;                // S3
inline constexpr std::size_t kMaxUserMetadataBytes = 2048;       // S3: names and values
inline constexpr std::size_t kMaxTags = 10;                      // S3
inline constexpr std::uint32_t kMaxParts = 10000;                // S3
inline constexpr std::uint64_t kMinPartBytes = 5ULL << 20;       // S3: all but the last
inline constexpr std::uint64_t kMaxObjectPutBytes = 5ULL << 30;  // S3: one PUT or part
inline constexpr std::uint32_t kMaxBucketsPerUser = 10000;       // S3's present default
// Proposals under way at once; more wait their turn. Bounds what is queued in front of the log.
inline constexpr std::size_t kMaxProposalsInFlight = 4096;
// Answers are remembered this long, in cluster time, for replays of the same request id.
// A request id minted longer ago is refused, so forgetting never turns a replay into a repeat.
inline constexpr std::uint64_t kRequestMemoryMs = 2ULL * 60 * 1000;
// Request ids may be minted ahead of cluster time by this much (another node's idea of it).
inline constexpr std::uint64_t kRequestAheadMs = 60ULL * 1000;
// Remembered answers are forgotten in slices of this length: one range deletion each.
inline constexpr std::uint64_t kRequestForgetStepMs = 10ULL * 1000;
// A repeated Complete or Abort of an upload that ended is recognised this long.
inline constexpr std::uint64_t kFinishedUploadMemoryMs = 24ULL * 60 * 60 * 1000;
// Finished uploads forgotten by one upload command; more than one, so that the backlog shrinks.
inline constexpr std::size_t kForgetUploadsPerCommand = 16;
// DeleteBucket aborts the uploads in progress in one batch; with more parts than this it refuses.
inline constexpr std::size_t kMaxPartsPerBucketDelete = 100'000;
// A blob must be committed this soon after its shards were sealed; apply refuses later ones.
inline constexpr std::uint64_t kCommitWindowMs = 60ULL * 60 * 1000;
// Shards without metadata are orphans when older than this; leaves room for the window above.
inline constexpr std::uint64_t kOrphanGraceMs = 2 * kCommitWindowMs;
// Members of one cluster: what they say about themselves is read and sent as a whole.
inline constexpr std::size_t kMaxNodes = 1000;
// Join tokens kept; beyond it the expired ones are forgotten, then the used ones.
inline constexpr std::size_t kMaxTokens = 1000;
inline constexpr std::size_t kMaxLabelBytes = 63;       // a node's name, a zone: a DNS label's
inline constexpr std::size_t kMaxHostBytes = 255;       // what a machine calls itself: DNS
inline constexpr std::size_t kMaxAddressBytes = 255;    // host:port
inline constexpr std::size_t kMaxVersionBytes = 64;     // of a node's binary
inline constexpr std::size_t kMaxSealedKeyBytes = 256;  // the CA's key, 32 bytes, and its seal
// Slots of a partition, k + m of a blob at most: the widest profile with room above it.
inline constexpr std::size_t kMaxSlots = 32;
// Sources of a partition: moves that may follow each other before the first has settled.
inline constexpr std::size_t kMaxSources = 8;
// Blob rows read at a time when those of a store that is older than their counts are counted.
inline constexpr std::size_t kBlobScanRows = 1000;

}  // namespace hamster::meta
