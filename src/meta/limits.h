// Named limits of the metadata, with their units and reasons.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hamster::meta {

inline constexpr std::size_t kMaxKeyBytes = 1024;             // S3
inline constexpr std::size_t kMaxUserMetadataBytes = 2048;    // S3: names and values
inline constexpr std::size_t kMaxTags = 10;                   // S3
inline constexpr std::uint32_t kMaxParts = 10000;             // S3
inline constexpr std::uint64_t kMinPartBytes = 5ULL << 20;    // S3: all but the last
inline constexpr std::uint64_t kMaxObjectPutBytes = 5ULL << 30;  // S3: one PUT or part
inline constexpr std::uint32_t kMaxBucketsPerUser = 10000;    // S3's present default
// Answers are remembered this long, in cluster time, for replays of the same request id.
inline constexpr std::uint64_t kRequestMemoryMs = 10ULL * 60 * 1000;
// A blob must be committed this soon after its shards were sealed; apply refuses later ones.
inline constexpr std::uint64_t kCommitWindowMs = 60ULL * 60 * 1000;
// Shards without metadata are orphans when older than this; leaves room for the window above.
inline constexpr std::uint64_t kOrphanGraceMs = 2 * kCommitWindowMs;

}  // namespace hamster::meta
