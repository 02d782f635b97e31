// The bytes of RemoteMethod: requests and answers between the nodes of a blob, its readers and its
// writer. Pure. Formats: docs/formats/object-requests.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "meta/limits.h"
#include "objects/shape.h"
#include "shards/store.h"

namespace hamster::objects {

// Blobs named by one request to keep or to remove; more go into several. 72 KiB as sent.
inline constexpr std::size_t kMaxKeptBlobs = 4096;
// A longer request is refused before it is parsed.
inline constexpr std::size_t kMaxRequestBytes = 128 * 1024;
// The same of one that carries a slice.
inline constexpr std::size_t kMaxWriteBytes = shards::kSliceBytes + 1024;
// Places named for one blob: of each slot its node, and the sources of the partition.
inline constexpr std::size_t kMaxPlaces = meta::kMaxSlots + meta::kMaxSources;
// In front of the bytes of a slice.
inline constexpr std::size_t kAnswerHeadBytes = 16;

struct SliceAddress {
    shards::ShardId shard;
    std::uint32_t stripe = 0;
    bool operator==(const SliceAddress&) const = default;
};

std::string encode_read(const SliceAddress& address);
// kInvalid, kTooLarge.
Result<SliceAddress> decode_read(std::string_view payload);

// At most kMaxKeptBlobs.
std::string encode_keep(const std::vector<base::BlobId>& blobs);
// kInvalid, kTooLarge.
Result<std::vector<base::BlobId>> decode_keep(std::string_view payload);

// One slice of a shard that is being written. An empty one only says that the shard is whole.
struct SliceWrite {
    SliceAddress address;
    std::uint64_t shard_bytes = 0;  // of the whole shard, 0: unknown; of the first slice
    bool is_last = false;
};
// At most kSliceBytes; empty only if `is_last`.
std::string encode_write(const SliceWrite& write, base::Bytes slice);
struct VerifiedWrite {
    SliceWrite write;
    std::string slice;
};
// kInvalid, kTooLarge; kCorrupt unless the slice is undamaged and for this address.
Result<VerifiedWrite> decode_write(std::string_view payload);

std::string encode_abandon(const shards::ShardId& shard);
// kInvalid, kTooLarge.
Result<shards::ShardId> decode_abandon(std::string_view payload);

// A blob, and where its shards lie, for who may not have its row yet.
struct BlobPlace {
    base::BlobId blob;
    Shape shape;
    struct Shard {
        base::Slot slot;
        base::NodeId node;
        bool operator==(const Shard&) const = default;
    };
    std::vector<Shard> shards;  // that are there; a slot may have several places
    bool operator==(const BlobPlace&) const = default;
};
struct PullOrder {
    BlobPlace blob;
    base::Slot slot;  // that the receiver is to have
    bool operator==(const PullOrder&) const = default;
};
// At most kMaxPlaces.
std::string encode_pull(const PullOrder& order);
// kInvalid, kTooLarge; kCorrupt: a shape that cannot be.
Result<PullOrder> decode_pull(std::string_view payload);

// The same bytes as of a keep request; at most kMaxKeptBlobs. kInvalid, kTooLarge.
std::string encode_remove(const std::vector<base::BlobId>& blobs);
Result<std::vector<base::BlobId>> decode_remove(std::string_view payload);
// The answer: those that are still read.
std::string encode_in_use(const std::vector<base::BlobId>& blobs);
Result<std::vector<base::BlobId>> decode_in_use(std::string_view answer);

std::string encode_slice(const SliceAddress& address, base::Bytes slice);
// The slice inside an answer. kCorrupt unless it is whole, undamaged and the one asked for.
Result<base::Bytes> verify_slice(const SliceAddress& address, std::string_view answer);

}  // namespace hamster::objects
