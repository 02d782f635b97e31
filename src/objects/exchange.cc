#include "objects/exchange.h"

#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "proto/objects.pb.h"

namespace hamster::objects {

namespace {

// The address takes part in the checksum: an answer to another question does not verify.
std::array<std::byte, kAnswerHeadBytes> head_of(const SliceAddress& address, base::Bytes slice) {
    std::array<std::byte, 16 + 1 + 4> question{};
    __builtin_memcpy(question.data(), address.shard.blob.raw.data(), 16);
    question[16] = std::byte{address.shard.slot.value};
    base::store_le32(question.data() + 17, address.stripe);
    const base::Hash128 hash = base::xxh3_128(question, slice);
    std::array<std::byte, kAnswerHeadBytes> head{};
    base::store_le64(head.data(), hash.low);
    base::store_le64(head.data() + 8, hash.high);
    return head;
}

template <class Message>
Result<Message> parse(std::string_view payload) {
    if (payload.size() > kMaxRequestBytes) {
        return fail(Code::kTooLarge, "a request of another node is too long");
    }
    Message message;
    if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
        return fail(Code::kInvalid, "a request of another node does not parse");
    }
    return message;
}

}  // namespace

std::string encode_read(const SliceAddress& address) {
    proto::ReadSlice request;
    request.set_blob_id(std::string(address.shard.blob.view()));
    request.set_slot(address.shard.slot.value);
    request.set_stripe(address.stripe);
    return request.SerializeAsString();
}

Result<SliceAddress> decode_read(std::string_view payload) {
    TRY_ASSIGN(const auto request, parse<proto::ReadSlice>(payload));
    const auto blob = base::BlobId::from_bytes(request.blob_id());
    if (!blob || request.slot() > std::numeric_limits<std::uint8_t>::max()) {
        return fail(Code::kInvalid, "a request of another node names no slice");
    }
    const base::Slot slot{static_cast<std::uint8_t>(request.slot())};
    return SliceAddress{{*blob, slot}, request.stripe()};
}

std::string encode_keep(const std::vector<base::BlobId>& blobs) {
    HAMSTER_ASSERT(blobs.size() <= kMaxKeptBlobs, blobs.size());
    proto::KeepBlobs request;
    for (const base::BlobId& blob : blobs) request.add_blob_ids(std::string(blob.view()));
    return request.SerializeAsString();
}

Result<std::vector<base::BlobId>> decode_keep(std::string_view payload) {
    TRY_ASSIGN(const auto request, parse<proto::KeepBlobs>(payload));
    if (static_cast<std::size_t>(request.blob_ids_size()) > kMaxKeptBlobs) {
        return fail(Code::kTooLarge, "a request of another node names too many blobs");
    }
    std::vector<base::BlobId> blobs;
    for (const std::string& bytes : request.blob_ids()) {
        const auto blob = base::BlobId::from_bytes(bytes);
        if (!blob) return fail(Code::kInvalid, "a request of another node names no blob");
        blobs.push_back(*blob);
    }
    return blobs;
}

std::string encode_slice(const SliceAddress& address, base::Bytes slice) {
    HAMSTER_ASSERT(!slice.empty() && slice.size() <= shards::kSliceBytes, slice.size());
    std::string answer;
    answer.reserve(kAnswerHeadBytes + slice.size());
    answer.append(base::as_text(head_of(address, slice)));
    answer.append(base::as_text(slice));
    return answer;
}

Result<base::Bytes> verify_slice(const SliceAddress& address, std::string_view answer) {
    if (answer.size() <= kAnswerHeadBytes ||
        answer.size() > kAnswerHeadBytes + shards::kSliceBytes) {
        return fail(Code::kCorrupt, "an answer has a length that no slice has");
    }
    const base::Bytes slice = base::as_bytes(answer).subspan(kAnswerHeadBytes);
    if (base::as_text(head_of(address, slice)) != answer.substr(0, kAnswerHeadBytes)) {
        return fail(Code::kCorrupt, "an answer is damaged, or is not the slice asked for");
    }
    return slice;
}

}  // namespace hamster::objects
