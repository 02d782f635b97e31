// The bytes of RemoteMethod: requests and answers between the holder of a blob and its readers.
// Pure. Formats: docs/formats/object-requests.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "shards/store.h"

namespace hamster::objects {

// Blobs named by one keep request; more go into several. 72 KiB as sent.
inline constexpr std::size_t kMaxKeptBlobs = 4096;
// A longer request is refused before it is parsed.
inline constexpr std::size_t kMaxRequestBytes = 128 * 1024;
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

std::string encode_slice(const SliceAddress& address, base::Bytes slice);
// The slice inside an answer. kCorrupt unless it is whole, undamaged and the one asked for.
Result<base::Bytes> verify_slice(const SliceAddress& address, std::string_view answer);

}  // namespace hamster::objects
