#include "raft/vote.h"

#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace hamster::raft {
namespace {

// magic | version | term | voted_for | [version 2: rejoin] | XXH3-64 of all before it; integers big
// endian
constexpr std::string_view kMagic = "HAMVOTE\n";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kVersionWithRejoin = 2;
constexpr std::size_t kVoteBytes = 8 + 4 + 8 + 16 + 8;
constexpr std::size_t kRejoinBytes = 8;
constexpr std::size_t kMaxFileBytes = 4096;

}  // namespace

std::string encode_vote(const Vote& vote) {
    std::string out(kMagic);
    const bool has_rejoin = vote.rejoin.value != 0;
    base::put_be32(out, has_rejoin ? kVersionWithRejoin : kVersion);
    base::put_be64(out, vote.term.value);
    out += vote.voted_for.view();
    if (has_rejoin) base::put_be64(out, vote.rejoin.value);
    base::put_be64(out, base::xxh3_64(base::as_bytes(out)));
    HAMSTER_ASSERT(out.size() == kVoteBytes + (has_rejoin ? kRejoinBytes : 0), out.size());
    return out;
}

Result<Vote> decode_vote(std::string_view content) {
    if (content.size() < 12 + 8 || !content.starts_with(kMagic) ||
        base::get_be64(content.data() + content.size() - 8) !=
            base::xxh3_64(base::as_bytes(content.substr(0, content.size() - 8)))) {
        return fail(Code::kCorrupt, "the vote file does not verify");
    }
    const std::uint32_t version = base::get_be32(content.data() + 8);
    const bool has_rejoin = version == kVersionWithRejoin;
    if (version != kVersion && !has_rejoin) {
        return fail(Code::kUnsupported, fmt::format("vote format {} is not known here", version));
    }
    if (content.size() != kVoteBytes + (has_rejoin ? kRejoinBytes : 0)) {
        return fail(Code::kCorrupt, "the vote file has the wrong length");
    }
    const auto voted_for = base::NodeId::from_bytes(content.substr(20, 16));
    HAMSTER_ASSERT(voted_for.has_value());
    Vote out{base::Term{base::get_be64(content.data() + 12)}, *voted_for, {}};
    if (has_rejoin) out.rejoin = base::Term{base::get_be64(content.data() + 36)};
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
