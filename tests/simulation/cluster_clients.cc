#include "cluster_clients.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/encoding.h"

namespace hamster::simulation {

namespace {

// A slow reader's sleep before each piece of a body.
constexpr runtime::Micros kReadPause{std::chrono::milliseconds(400)};

Activity activity_of(const S3Request& request, std::string_view what) {
    if (what == "complete-upload") return Activity::kComplete;
    if (request.method == "GET") return Activity::kRead;
    return request.method == "PUT" ? Activity::kWrite : Activity::kOther;
}

}  // namespace

std::string unquoted(const std::string& text) {
    return text.size() > 2 ? text.substr(1, text.size() - 2) : std::string();
}

ClusterClient::ClusterClient(ClientStage* stage, int number)
    : stage_(stage),
      number_(number),
      random_(runtime::Prng::split(stage->cluster->plan().seed,
                                   fmt::format("cluster client {}", number))) {}

// Keys of some seeds, and every other key of the rest, hold empty objects only: there are no blobs
// of them. Their ETags are all alike, so what they hold shows in the metadata alone.
bool ClusterClient::has_bodies(const std::string& key) const {
    return !stage_->cluster->plan().only_empty_bodies && (key.back() - '0') % 2 == 0;
}

S3Client& ClusterClient::connection(Member* member) {
    auto& client = connections_[member->name()];
    if (!client) {
        client = std::make_unique<S3Client>(stage_->world, member->s3_address(),
                                            member->clock_offset_ms());
    }
    client->set_patience(stage_->patience);
    return *client;
}

S3Request ClusterClient::to_key(std::string method, const std::string& key) {
    S3Request request;
    request.method = std::move(method);
    request.bucket = kClusterBucket;
    request.key = key;
    return request;
}

Task<S3Reply> ClusterClient::call(Member* member, S3Request request, std::string_view what) {
    SimCluster& cluster = *stage_->cluster;
    const std::string text =
        fmt::format("client {}: {} {} at {}", number_, what, request.key, member->name());
    const runtime::Time began = cluster.now();
    const std::uint64_t bytes = request.body.size();
    const auto number = cluster.began(activity_of(request, what), *member, bytes);
    auto reply = co_await connection(member).call(std::move(request));
    cluster.ended(number);
    if (reply.status != 0) ++stage_->completed;
    cluster.say(fmt::format("{} ({} bytes): {} {}after {} ms", text,
                            std::max<std::uint64_t>(bytes, reply.body.size()), reply.status,
                            reply.ok() ? std::string() : reply.code() + " ",
                            (cluster.now() - began).count() / 1000));
    report().reached(fmt::format("op.{}", what));
    report().reached(fmt::format("status.{}", reply.status));
    if (reply.status == 500 && !cluster.excuses_500()) {
        report().violation("I10", fmt::format("{} was answered 500 {}", text, reply.body));
    }
    co_return reply;
}

Task<void> ClusterClient::make_bucket() {
    while (!stage_->stop) {
        Member* const member = stage_->cluster->any_serving();
        if (member != nullptr) {
            S3Request request;
            request.method = "PUT";
            request.bucket = kClusterBucket;
            auto reply = co_await call(member, std::move(request), "create-bucket");
            if (reply.ok() || reply.code() == "BucketAlreadyOwnedByYou") co_return;
        }
        co_await stage_->world->clock.sleep(std::chrono::milliseconds(100));
    }
}

Task<void> ClusterClient::run(int operations) {
    for (int i = 0; i < operations && !stage_->stop; ++i) {
        co_await one_operation();
        const auto pause = below(static_cast<std::uint64_t>(stage_->pace.count()));
        co_await stage_->world->clock.sleep(runtime::Micros(static_cast<std::int64_t>(pause)));
    }
}

Task<void> ClusterClient::one_operation() {
    const auto& keys = stage_->cluster->plan().keys;
    const std::string key = keys[below(keys.size())];
    const std::string other = keys[below(keys.size())];
    Member* const member = stage_->cluster->any_serving();
    if (member == nullptr) co_return;
    const std::uint64_t dice = below(100);
    if (dice < 34) {
        (void)co_await put(member, key);
    } else if (dice < 40) {
        co_await upload(member, key);
    } else if (dice < 46) {
        co_await copy(member, other, key);
    } else if (dice < 60) {
        (void)co_await read(member, key, Kind::kGet);
    } else if (dice < 70) {
        co_await read_range(member, key);
    } else if (dice < 83) {
        (void)co_await read(member, key, Kind::kHead);
    } else if (dice < 92) {
        co_await remove(member, key);
    } else {
        co_await list(member);
    }
}

History::Token ClusterClient::begin(const std::string& key, Kind kind, Tag tag) {
    Operation asked;
    asked.kind = kind;
    asked.tag = tag;
    return begin(key, asked);
}

History::Token ClusterClient::begin(const std::string& key, Operation asked) {
    asked.client = number_;
    return stage_->history.begin(std::string(kClusterBucket), key, asked, stage_->cluster->now());
}

std::string_view ClusterClient::add_condition(const std::string& key, Operation* asked,
                                              S3Request* request) {
    const Seen& seen = seen_[key];
    const Body* const body = stage_->bodies.find(seen.tag);
    if (chance(30)) {
        asked->if_none_match = true;
        request->headers.emplace_back("if-none-match", "*");
        return "put-if-none-match";
    }
    const bool has_one_etag = body != nullptr && !body->content.empty() && !body->has_two_etags;
    if (chance(40) && has_one_etag) {
        asked->if_match = seen.tag;
        request->headers.emplace_back("if-match", fmt::format("\"{}\"", body->etag));
        return "put-if-match";
    }
    return "put";
}

Task<bool> ClusterClient::put(Member* member, std::string key) {
    Operation asked;
    asked.kind = Kind::kPut;
    asked.tag = stage_->history.new_tag();
    Content content;
    if (has_bodies(key)) content.push_back(stage_->bodies.draw());
    const Body& body = stage_->bodies.add(asked.tag, std::move(content), false);
    const std::string etag = body.etag;
    S3Request request = to_key("PUT", key);
    request.body = bytes_of(body.content, 0, size_of(body.content));
    request.mode = chance(60) ? BodyMode::kUnsigned : BodyMode::kTrailer;
    request.headers.emplace_back(kTagHeader, std::to_string(asked.tag));
    if (chance(4) && !stage_->cluster->has_healed)
        request.abort_after = below(request.body.size() + 1);
    const std::string_view what = add_condition(key, &asked, &request);
    const bool is_conditional = asked.if_none_match || asked.if_match;
    const auto token = begin(key, asked);
    auto reply = co_await call(member, std::move(request), what);
    settle_write(token, reply, is_conditional);
    last_status_ = reply.status;
    if (reply.ok()) seen_[key] = {asked.tag, etag};
    co_return reply.ok() || (is_conditional && (reply.status == 412 || reply.status == 404));
}

Task<void> ClusterClient::remove(Member* member, std::string key) {
    const auto token = begin(key, Kind::kDelete);
    auto reply = co_await call(member, to_key("DELETE", key), "delete");
    settle_write(token, reply, false);
}

void ClusterClient::settle_write(History::Token token, const S3Reply& reply, bool conditional) {
    const runtime::Time now = stage_->cluster->now();
    History& history = stage_->history;
    if (reply.status == 0 && !reply.sent) return history.refused(token);
    if (reply.ok()) return history.end(token, Outcome::kOk, kAbsent, now);
    if (reply.status == 403 || reply.status == 400) return history.refused(token);
    if (conditional && reply.status == 412) {
        return history.end(token, Outcome::kPreconditionFailed, kAbsent, now);
    }
    if (reply.status == 404) {
        if (!conditional || reply.code() != "NoSuchKey") {
            report().violation("I1", "a write was answered " + reply.body);
        }
        return history.end(token, Outcome::kNotFound, kAbsent, now);
    }
    history.end(token, Outcome::kUnknown, kAbsent, now);
}

Task<bool> ClusterClient::read(Member* member, std::string key, Kind kind) {
    S3Request request = to_key(kind == Kind::kGet ? "GET" : "HEAD", key);
    std::string_view what = kind == Kind::kGet ? "get" : "head";
    if (kind == Kind::kGet && chance(5) && !stage_->cluster->has_healed) {
        request.read_pause = kReadPause;
        what = "get-slowly";
    }
    const auto token = begin(key, kind);
    auto reply = co_await call(member, std::move(request), what);
    settle_read(token, key, kind, reply);
    co_return reply.ok() || reply.status == 404;
}

Tag ClusterClient::tag_of(const std::string& key, const S3Reply& reply) {
    const Tag tag = base::parse_u64(reply.header(kTagHeader)).value_or(kAbsent);
    if (stage_->bodies.find(tag) != nullptr) return tag;
    report().violation("I5", fmt::format("'{}' was read with tag '{}', which nobody wrote", key,
                                         reply.header(kTagHeader)));
    return kAbsent;
}

void ClusterClient::check_bytes(const std::string& key, Tag tag, std::uint64_t offset,
                                const S3Reply& reply) {
    const Body& body = *stage_->bodies.find(tag);
    const std::size_t at = first_difference(body.content, offset, reply.body);
    if (at == std::string::npos) return;
    report().violation(
        "I5", fmt::format("'{}' (tag {}, {} bytes) was read from byte {} on, {} bytes: wrong at {}",
                          key, tag, size_of(body.content), offset, reply.body.size(), offset + at));
}

void ClusterClient::settle_read(History::Token token, const std::string& key, Kind kind,
                                const S3Reply& reply) {
    const runtime::Time now = stage_->cluster->now();
    if (reply.status == 404) {
        if (kind == Kind::kGet && reply.code() != "NoSuchKey") {
            report().violation("I1", "a read was answered " + reply.body);
        }
        seen_[key] = {};
        return stage_->history.end(token, Outcome::kNotFound, kAbsent, now);
    }
    if (!reply.ok()) return stage_->history.end(token, Outcome::kUnknown, kAbsent, now);
    const Tag tag = tag_of(key, reply);
    if (tag == kAbsent) return stage_->history.refused(token);
    const std::uint64_t size = size_of(stage_->bodies.find(tag)->content);
    if (kind == Kind::kGet) check_bytes(key, tag, 0, reply);
    const auto announced = base::parse_u64(reply.header("content-length"));
    if (announced != size || (kind == Kind::kGet && reply.body.size() != size)) {
        report().violation("I5", fmt::format("'{}' (tag {}, {} bytes) was read as {} bytes", key,
                                             tag, size, announced.value_or(0)));
    }
    seen_[key] = {tag, unquoted(reply.header("etag"))};
    stage_->history.end(token, Outcome::kOk, tag, now);
}

Task<void> ClusterClient::read_range(Member* member, std::string key) {
    const Body* const body = stage_->bodies.find(seen_[key].tag);
    const std::uint64_t size = body == nullptr ? 0 : size_of(body->content);
    S3Request request = to_key("GET", key);
    std::string range = fmt::format("bytes=-{}", 1 + below(1000));
    if (size > 0 && chance(80)) {
        const std::uint64_t first = below(size);
        const std::uint64_t last = first + below(chance(50) ? 1000 : size);
        range = fmt::format("bytes={}-{}", first, last);
    }
    request.headers.emplace_back("range", range);
    const auto token = begin(key, Kind::kGet);
    auto reply = co_await call(member, std::move(request), "get-range");
    settle_range(token, key, reply);
}

// A range of a body that is not the one that was seen before may be refused, and then says nothing.
void ClusterClient::settle_range(History::Token token, const std::string& key,
                                 const S3Reply& reply) {
    if (reply.status != 206) {
        if (reply.status == 416) return stage_->history.refused(token);
        return settle_read(token, key, Kind::kGet, reply);
    }
    const Tag tag = tag_of(key, reply);
    if (tag == kAbsent) return stage_->history.refused(token);
    const std::uint64_t size = size_of(stage_->bodies.find(tag)->content);
    // bytes first-last/size
    const std::string range = reply.header("content-range");
    const std::string first_text = range.substr(std::min<std::size_t>(6, range.size()));
    const auto first = base::parse_u64(first_text.substr(0, first_text.find('-'))).value_or(size);
    const std::string wanted =
        fmt::format("bytes {}-{}/{}", first, first + reply.body.size() - 1, size);
    if (range != wanted) {
        report().violation("I5", fmt::format("'{}' (tag {}): {} bytes come with Content-Range {}, "
                                             "which should be {}",
                                             key, tag, reply.body.size(), range, wanted));
    }
    check_bytes(key, tag, first, reply);
    stage_->history.end(token, Outcome::kOk, tag, stage_->cluster->now());
}

// A listing reads every key, at one moment.
Task<void> ClusterClient::list(Member* member) {
    std::map<std::string, History::Token> reads;
    for (const std::string& key : stage_->cluster->plan().keys) {
        reads[key] = begin(key, Kind::kHead);
    }
    S3Request request;
    request.bucket = kClusterBucket;
    request.query.emplace_back("list-type", "2");
    auto reply = co_await call(member, std::move(request), "list");
    take_listed(reads, reply);
}

void ClusterClient::take_listed(const std::map<std::string, History::Token>& reads,
                                const S3Reply& reply) {
    const runtime::Time now = stage_->cluster->now();
    std::map<std::string, std::string> etags;
    for (const std::string& row : xml_elements(reply.body, "Contents")) {
        etags[xml_text(row, "Key")] = unquoted(xml_text(row, "ETag"));
    }
    for (const auto& [key, token] : reads) {
        const auto row = etags.find(key);
        if (!reply.ok()) {
            stage_->history.refused(token);
        } else if (row == etags.end()) {
            stage_->history.end(token, Outcome::kNotFound, kAbsent, now);
        } else if (!has_bodies(key)) {
            stage_->history.refused(token);  // it holds something; no telling what
        } else {
            const Tag found = stage_->bodies.tag_of(row->second);
            if (found == kAbsent) {
                report().violation("I4", fmt::format("LIST shows '{}' as {}, which nobody wrote",
                                                     key, row->second));
            }
            stage_->history.end(token, Outcome::kOk, found, now);
        }
    }
}

Task<void> ClusterClient::check_node(Member* member, runtime::Micros limit, Writes writes) {
    const std::string key = stage_->cluster->plan().keys.front();
    const runtime::Time began = stage_->cluster->now();
    const bool wrote = co_await put(member, key);
    const bool read_it = co_await read(member, key, Kind::kHead);
    const runtime::Micros took = stage_->cluster->now() - began;
    stage_->slowest = std::max(stage_->slowest, took);
    const bool is_excused = writes == Writes::kMayBeRefused && has_bodies(key);
    const bool is_written = wrote || (is_excused && last_status_ == 503);
    if (is_written && read_it && took <= 2 * limit) co_return;
    if (stage_->cluster->has_left(*member)) co_return;
    report().violation("I10",
                       fmt::format("{} {} a write and {} a read, in {} ms", member->name(),
                                   wrote ? "answered" : "did not answer",
                                   read_it ? "answered" : "did not answer", took.count() / 1000));
}

Task<void> ClusterClient::read_all(Member* member, bool may_fail) {
    for (const std::string& key : stage_->cluster->plan().keys) {
        const bool is_read = co_await read(member, key, Kind::kGet);
        if (is_read) continue;
        if (stage_->cluster->has_left(*member)) co_return;
        report().reached("get.failed-for-good");
        if (may_fail) continue;
        report().violation("I10", fmt::format("{} does not answer GET {}", member->name(), key));
    }
    co_await list(member);
}

}  // namespace hamster::simulation
