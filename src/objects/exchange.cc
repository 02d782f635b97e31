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
base::Hash128 hash_of(const SliceAddress& address, base::Bytes slice) {
    std::array<std::byte, 16 + 1 + 4> question{};
    __builtin_memcpy(question.data(), address.shard.blob.raw.data(), 16);
    question[16] = std::byte{address.shard.slot.value};
    base::store_le32(question.data() + 17, address.stripe);
    return base::xxh3_128(question, slice);
}

std::array<std::byte, kAnswerHeadBytes> head_of(const SliceAddress& address, base::Bytes slice) {
    const base::Hash128 hash = hash_of(address, slice);
    std::array<std::byte, kAnswerHeadBytes> head{};
    base::store_le64(head.data(), hash.low);
    base::store_le64(head.data() + 8, hash.high);
    return head;
}

template <class Message>
Result<Message> parse(std::string_view payload, std::size_t most = kMaxRequestBytes) {
    if (payload.size() > most) {
        return fail(Code::kTooLarge, "a request of another node is too long");
    }
    Message message;
    if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
        return fail(Code::kInvalid, "a request of another node does not parse");
    }
    return message;
}

// Of any message that names a blob and a slot.
template <class Message>
Result<shards::ShardId> shard_of(const Message& message) {
    const auto blob = base::BlobId::from_bytes(message.blob_id());
    if (!blob || message.slot() > std::numeric_limits<std::uint8_t>::max()) {
        return fail(Code::kInvalid, "a request of another node names no shard");
    }
    return shards::ShardId{*blob, base::Slot{static_cast<std::uint8_t>(message.slot())}};
}

template <class Message>
std::string encode_blobs(const std::vector<base::BlobId>& blobs, std::string* (Message::*add)()) {
    HAMSTER_ASSERT(blobs.size() <= kMaxKeptBlobs, blobs.size());
    Message message;
    for (const base::BlobId& blob : blobs) (message.*add)()->assign(blob.view());
    return message.SerializeAsString();
}

template <class Message, class Ids>
Result<std::vector<base::BlobId>> decode_blobs(std::string_view payload,
                                               const Ids& (Message::*ids)() const) {
    TRY_ASSIGN(const auto message, parse<Message>(payload));
    if (static_cast<std::size_t>((message.*ids)().size()) > kMaxKeptBlobs) {
        return fail(Code::kTooLarge, "a message of another node names too many blobs");
    }
    std::vector<base::BlobId> blobs;
    for (const std::string& bytes : (message.*ids)()) {
        const auto blob = base::BlobId::from_bytes(bytes);
        if (!blob) return fail(Code::kInvalid, "a message of another node names no blob");
        blobs.push_back(*blob);
    }
    return blobs;
}

Result<BlobPlace> place_of(const proto::BlobPlace& message) {
    const auto blob = base::BlobId::from_bytes(message.blob_id());
    if (!blob) return fail(Code::kInvalid, "a request of another node names no blob");
    if (static_cast<std::size_t>(message.shards_size()) > kMaxPlaces) {
        return fail(Code::kTooLarge, "a request of another node names too many places");
    }
    BlobPlace place{*blob, {}, {}};
    TRY_ASSIGN(place.shape, shape_of(message));
    for (const proto::ShardPlace& shard : message.shards()) {
        const auto node = base::NodeId::from_bytes(shard.node());
        if (!node || shard.slot() >= place.shape.width()) {
            return fail(Code::kInvalid, "a request of another node names no place");
        }
        place.shards.push_back({base::Slot{static_cast<std::uint8_t>(shard.slot())}, *node});
    }
    return place;
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
    TRY_ASSIGN(const shards::ShardId shard, shard_of(request));
    return SliceAddress{shard, request.stripe()};
}

std::string encode_keep(const std::vector<base::BlobId>& blobs) {
    return encode_blobs<proto::KeepBlobs>(blobs, &proto::KeepBlobs::add_blob_ids);
}
Result<std::vector<base::BlobId>> decode_keep(std::string_view payload) {
    return decode_blobs<proto::KeepBlobs>(payload, &proto::KeepBlobs::blob_ids);
}

// The slice goes behind the message as its field 8, which is where the encoding has it anyway, so
// that it is copied once.
std::string encode_write(const SliceWrite& write, base::Bytes slice) {
    HAMSTER_ASSERT(slice.size() <= shards::kSliceBytes && (write.is_last || !slice.empty()),
                   slice.size());
    const base::Hash128 hash = hash_of(write.address, slice);
    proto::WriteSlice request;
    request.set_blob_id(std::string(write.address.shard.blob.view()));
    request.set_slot(write.address.shard.slot.value);
    request.set_stripe(write.address.stripe);
    request.set_shard_bytes(write.shard_bytes);
    request.set_is_last(write.is_last);
    request.set_hash_low(hash.low);
    request.set_hash_high(hash.high);
    std::string payload;
    payload.reserve(request.ByteSizeLong() + slice.size() + 8);
    request.AppendToString(&payload);
    if (slice.empty()) return payload;
    payload.push_back(char{proto::WriteSlice::kSliceFieldNumber << 3 | 2});  // length-delimited
    for (std::size_t left = slice.size(); left > 0; left >>= 7) {
        payload.push_back(static_cast<char>((left & 0x7F) | (left > 0x7F ? 0x80U : 0U)));
    }
    payload.append(base::as_text(slice));
    return payload;
}

Result<VerifiedWrite> decode_write(std::string_view payload) {
    TRY_ASSIGN(auto request, parse<proto::WriteSlice>(payload, kMaxWriteBytes));
    TRY_ASSIGN(const shards::ShardId shard, shard_of(request));
    VerifiedWrite out{{{shard, request.stripe()}, request.shard_bytes(), request.is_last()},
                      std::move(*request.mutable_slice())};
    if (out.slice.size() > shards::kSliceBytes) {
        return fail(Code::kTooLarge, "a slice that is written is too long");
    }
    if (out.slice.empty() && !out.write.is_last) {
        return fail(Code::kInvalid, "a slice that is written is empty");
    }
    const base::Hash128 sent{request.hash_low(), request.hash_high()};
    if (hash_of(out.write.address, base::as_bytes(out.slice)) != sent) {
        return fail(Code::kCorrupt, "a slice that is written was damaged on its way");
    }
    return out;
}

std::string encode_abandon(const shards::ShardId& shard) {
    proto::AbandonShard request;
    request.set_blob_id(std::string(shard.blob.view()));
    request.set_slot(shard.slot.value);
    return request.SerializeAsString();
}

Result<shards::ShardId> decode_abandon(std::string_view payload) {
    TRY_ASSIGN(const auto request, parse<proto::AbandonShard>(payload));
    return shard_of(request);
}

std::string encode_pull(const PullOrder& order) {
    HAMSTER_ASSERT(order.blob.shards.size() <= kMaxPlaces, order.blob.shards.size());
    proto::PullShard request;
    request.set_slot(order.slot.value);
    proto::BlobPlace& blob = *request.mutable_blob();
    blob.set_blob_id(std::string(order.blob.blob.view()));
    blob.set_size(order.blob.shape.size);
    blob.set_k(order.blob.shape.k());
    blob.set_m(order.blob.shape.m());
    blob.set_slice_bytes(order.blob.shape.geometry.slice_bytes);
    for (const BlobPlace::Shard& shard : order.blob.shards) {
        proto::ShardPlace& place = *blob.add_shards();
        place.set_slot(shard.slot.value);
        place.set_node(std::string(shard.node.view()));
    }
    return request.SerializeAsString();
}

Result<PullOrder> decode_pull(std::string_view payload) {
    TRY_ASSIGN(const auto request, parse<proto::PullShard>(payload));
    PullOrder order;
    TRY_ASSIGN(order.blob, place_of(request.blob()));
    if (request.slot() >= order.blob.shape.width()) {
        return fail(Code::kInvalid, "a request of another node names no slot of its blob");
    }
    order.slot = base::Slot{static_cast<std::uint8_t>(request.slot())};
    return order;
}

std::string encode_remove(const std::vector<base::BlobId>& blobs) {
    return encode_blobs<proto::RemoveShards>(blobs, &proto::RemoveShards::add_blob_ids);
}
Result<std::vector<base::BlobId>> decode_remove(std::string_view payload) {
    return decode_blobs<proto::RemoveShards>(payload, &proto::RemoveShards::blob_ids);
}

std::string encode_in_use(const std::vector<base::BlobId>& blobs) {
    return encode_blobs<proto::RemoveShardsReply>(blobs, &proto::RemoveShardsReply::add_in_use);
}
Result<std::vector<base::BlobId>> decode_in_use(std::string_view answer) {
    return decode_blobs<proto::RemoveShardsReply>(answer, &proto::RemoveShardsReply::in_use);
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
