#include "cluster_bodies.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "crypto/digest.h"

namespace hamster::simulation {

namespace {
constexpr std::uint64_t kLeast = 8;
constexpr std::uint64_t kManySlices = 12;
}  // namespace

std::string whole_etag(const Content& content) {
    const std::string bytes = bytes_of(content, 0, size_of(content));
    return base::hex_encode(base::as_bytes(crypto::md5(base::as_bytes(bytes))));
}

Piece Bodies::draw() { return {random_.next(), draw_size()}; }

std::uint64_t Bodies::draw_size() {
    const std::uint64_t slice = plan_->slice_bytes;
    const std::uint64_t small = plan_->small_bytes;
    const std::uint64_t dice = below(100);
    if (dice < 45) return kLeast + below(200);
    if (dice < 60) return kLeast + below(std::min<std::uint64_t>(small, 16'384));
    if (dice < 68) return small + below(3) - 1;
    if (dice < 70) return kLeast + below(small);
    // The last stripe: full, short of a byte, of one byte, of anything.
    const std::uint64_t most = std::max(kManySlices, small / slice + 4);
    const std::uint64_t slices = 1 + below(most);
    const std::uint64_t edge = below(3);
    const std::uint64_t size = dice < 90   ? slices * slice + edge - 1
                               : dice < 97 ? small + 1 + below(slice * most)
                                           : small + 1 + below(plan_->max_body_bytes);
    return std::clamp(size, kLeast, plan_->max_body_bytes);
}

const Body& Bodies::add(Tag tag, Content content, bool is_multipart) {
    Body body;
    // No pieces: the body is empty, and its ETag that of many.
    body.etag = is_multipart ? composite_etag(content) : whole_etag(content);
    body.content = std::move(content);
    if (!body.content.empty()) tags_[body.etag] = tag;
    const auto [at, is_new] = bodies_.emplace(tag, std::move(body));
    HAMSTER_ASSERT(is_new, tag);
    return at->second;
}

const Body* Bodies::find(Tag tag) const {
    const auto at = bodies_.find(tag);
    return at == bodies_.end() ? nullptr : &at->second;
}

Tag Bodies::tag_of(const std::string& etag) const {
    const auto at = tags_.find(etag);
    return at == tags_.end() ? kAbsent : at->second;
}

bool Bodies::will_be_copied(Tag tag) {
    Body& body = bodies_.at(tag);
    const std::string whole = whole_etag(body.content);
    if (tags_.try_emplace(whole, tag).first->second != tag) return false;
    body.has_two_etags = whole != body.etag;
    return true;
}

}  // namespace hamster::simulation
