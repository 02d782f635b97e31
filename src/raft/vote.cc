#include "raft/vote.h"

#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace hamster::raft {
namespace {

// magic | version | term | voted_for | [from version 2: rejoin] | [version 3: only_peer] | XXH3-64
// of all before it; integers big endian
constexpr std::string_view kMagic = "HAMVOTE\n";
constexpr std::size_t kVoteBytes = 8 + 4 + 8 + 16 + 8;
constexpr std::size_t kRejoinBytes = 8;
constexpr std::size_t kPeerBytes = 16;
constexpr std::size_t kRejoinAt = 8 + 4 + 8 + 16;
constexpr std::size_t kPeerAt = kRejoinAt + kRejoinBytes;
constexpr std::size_t kMaxFileBytes = 4096;

// The oldest one that can say it; 1 to 3.
std::uint32_t version_of(const Vote& vote) {
    if (!vote.only_peer.is_zero()) return 3;
    return vote.rejoin.value != 0 ? 2 : 1;
}

std::size_t bytes_of(std::uint32_t version) {
    return kVoteBytes + (version >= 2 ? kRejoinBytes : 0) + (version >= 3 ? kPeerBytes : 0);
}

}  // namespace

std::string encode_vote(const Vote& vote) {
    std::string out(kMagic);
    const std::uint32_t version = version_of(vote);
    base::put_be32(out, version);
    base::put_be64(out, vote.term.value);
    out += vote.voted_for.view();
    if (version >= 2) base::put_be64(out, vote.rejoin.value);
    if (version >= 3) out += vote.only_peer.view();
    base::put_be64(out, base::xxh3_64(base::as_bytes(out)));
    HAMSTER_ASSERT(out.size() == bytes_of(version), out.size());
    return out;
}

Result<Vote> decode_vote(std::string_view content) {
    if (content.size() < 12 + 8 || !content.starts_with(kMagic) ||
        base::get_be64(content.data() + content.size() - 8) !=
            base::xxh3_64(base::as_bytes(content.substr(0, content.size() - 8)))) {
        return fail(Code::kCorrupt, "the vote file does not verify");
    }
    const std::uint32_t version = base::get_be32(content.data() + 8);
    if (version < 1 || version > 3) {
        return fail(Code::kUnsupported, fmt::format("vote format {} is not known here", version));
    }
    if (content.size() != bytes_of(version)) {
        return fail(Code::kCorrupt, "the vote file has the wrong length");
    }
    const auto voted_for = base::NodeId::from_bytes(content.substr(20, 16));
    HAMSTER_ASSERT(voted_for.has_value());
    Vote out{base::Term{base::get_be64(content.data() + 12)}, *voted_for, {}};
    if (version >= 2) out.rejoin = base::Term{base::get_be64(content.data() + kRejoinAt)};
    if (version >= 3) {
        const auto peer = base::NodeId::from_bytes(content.substr(kPeerAt, kPeerBytes));
        HAMSTER_ASSERT(peer.has_value());
        out.only_peer = *peer;
    }
    return out;
}

runtime::Task<Result<std::optional<Vote>>> load_vote(runtime::Disk* disk, std::string path) {
    auto content = co_await runtime::read_file(disk, path, kMaxFileBytes);
    if (!content && content.error().code == Code::kNotFound) {
        co_return std::nullopt;
    }
    CO_TRY_ASSIGN(const std::string bytes, content);
    auto vote = decode_vote(bytes);
    if (!vote) {
        Error error = std::move(vote).error();
        if (error.code == Code::kCorrupt) error.context += fmt::format("; {}", kLostVoteAdvice);
        co_return fail(std::move(error), path);
    }
    co_return *vote;
}

runtime::Task<Result<void>> store_vote(runtime::Disk* disk, std::string path, Vote vote) {
    co_return co_await runtime::write_file(disk, std::move(path), encode_vote(vote));
}

}  // namespace hamster::raft
