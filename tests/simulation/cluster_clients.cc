#include "cluster_clients.h"

#include <fmt/format.h>

#include <utility>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace hamster::simulation {

namespace {

constexpr std::string_view kTagHeader = "x-amz-meta-tag";

// Of nothing but a body.
std::string etag_of(const std::string& body) {
    return base::hex_encode(base::as_bytes(crypto::md5(base::as_bytes(body))));
}

std::string unquoted(const std::string& text) {
    return text.size() > 2 ? text.substr(1, text.size() - 2) : std::string();
}

}  // namespace

ClusterClient::ClusterClient(ClientStage* stage, int number)
    : stage_(stage),
      number_(number),
      random_(runtime::Prng::split(stage->cluster->plan().seed,
                                   fmt::format("cluster client {}", number))) {}

// Keys of one half of the seeds, and every other key of the rest, hold empty objects only: no node
// holds a blob of them. Their ETags are all alike, so what they hold shows in the metadata alone.
bool ClusterClient::has_bodies(const std::string& key) const {
    return !stage_->cluster->plan().only_empty_bodies && (key.back() - '0') % 2 == 0;
}

std::string ClusterClient::body_of(const std::string& key, Tag tag) const {
    return has_bodies(key) ? fmt::format("{} {}", key, tag) : std::string();
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

Task<S3Reply> ClusterClient::call(Member* member, S3Request request, std::string_view what) {
    SimCluster& cluster = *stage_->cluster;
    const std::string text =
        fmt::format("client {}: {} {} at {}", number_, what, request.key, member->name());
    const runtime::Time began = cluster.now();
    auto reply = co_await connection(member).call(std::move(request));
    if (reply.status != 0) ++stage_->completed;
    cluster.say(fmt::format("{}: {} {}after {} ms", text, reply.status,
                            reply.ok() ? std::string() : reply.code() + " ",
                            (cluster.now() - began).count() / 1000));
    report().reached(fmt::format("op.{}", what));
    report().reached(fmt::format("status.{}", reply.status));
    if (reply.status == 500 && !cluster.disks_failed) {
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
    Member* const member = stage_->cluster->any_serving();
    if (member == nullptr) co_return;
    const std::uint64_t dice = below(100);
    if (dice < 40) {
        (void)co_await put(member, key);
    } else if (dice < 60) {
        (void)co_await read(member, key, Kind::kGet);
    } else if (dice < 80) {
        (void)co_await read(member, key, Kind::kHead);
    } else if (dice < 90) {
        co_await remove(member, key);
    } else {
        co_await list(member);
    }
}

Task<bool> ClusterClient::put(Member* member, std::string key) {
    Operation asked;
    asked.client = number_;
    asked.kind = Kind::kPut;
    asked.tag = stage_->history.new_tag();
    S3Request request;
    request.method = "PUT";
    request.bucket = kClusterBucket;
    request.key = key;
    request.body = body_of(key, asked.tag);
    stage_->tags[etag_of(request.body)] = asked.tag;
    request.headers.emplace_back(kTagHeader, std::to_string(asked.tag));
    std::string_view what = "put";
    if (chance(30)) {
        asked.if_none_match = true;
        request.headers.emplace_back("if-none-match", "*");
        what = "put-if-none-match";
    } else if (chance(40) && has_bodies(key) && seen_[key] != kAbsent) {
        asked.if_match = seen_[key];
        request.headers.emplace_back("if-match",
                                     fmt::format("\"{}\"", etag_of(body_of(key, seen_[key]))));
        what = "put-if-match";
    }
    const bool is_conditional = asked.if_none_match || asked.if_match;
    const auto token =
        stage_->history.begin(std::string(kClusterBucket), key, asked, stage_->cluster->now());
    auto reply = co_await call(member, std::move(request), what);
    settle_write(token, reply, is_conditional);
    if (reply.ok()) seen_[key] = asked.tag;
    co_return reply.ok() || (is_conditional && (reply.status == 412 || reply.status == 404));
}

Task<void> ClusterClient::remove(Member* member, std::string key) {
    Operation asked;
    asked.client = number_;
    asked.kind = Kind::kDelete;
    S3Request request;
    request.method = "DELETE";
    request.bucket = kClusterBucket;
    request.key = key;
    const auto token =
        stage_->history.begin(std::string(kClusterBucket), key, asked, stage_->cluster->now());
    auto reply = co_await call(member, std::move(request), "delete");
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
    Operation asked;
    asked.client = number_;
    asked.kind = kind;
    S3Request request;
    request.method = kind == Kind::kGet ? "GET" : "HEAD";
    request.bucket = kClusterBucket;
    request.key = key;
    const auto token =
        stage_->history.begin(std::string(kClusterBucket), key, asked, stage_->cluster->now());
    auto reply = co_await call(member, std::move(request), kind == Kind::kGet ? "get" : "head");
    settle_read(token, key, kind, reply);
    co_return reply.ok() || reply.status == 404;
}

void ClusterClient::settle_read(History::Token token, const std::string& key, Kind kind,
                                const S3Reply& reply) {
    const runtime::Time now = stage_->cluster->now();
    if (reply.status == 404) {
        if (kind == Kind::kGet && reply.code() != "NoSuchKey") {
            report().violation("I1", "a read was answered " + reply.body);
        }
        seen_[key] = kAbsent;
        return stage_->history.end(token, Outcome::kNotFound, kAbsent, now);
    }
    if (!reply.ok()) return stage_->history.end(token, Outcome::kUnknown, kAbsent, now);
    const Tag tag = base::parse_u64(reply.header(kTagHeader)).value_or(kAbsent);
    if (kind == Kind::kGet && reply.body != body_of(key, tag)) {
        report().violation("I5",
                           fmt::format("'{}' was read as '{}' with tag {}", key, reply.body, tag));
    }
    seen_[key] = tag;
    stage_->history.end(token, Outcome::kOk, tag, now);
}

// A listing reads every key, at one moment.
Task<void> ClusterClient::list(Member* member) {
    std::map<std::string, History::Token> reads;
    for (const std::string& key : stage_->cluster->plan().keys) {
        Operation asked;
        asked.client = number_;
        asked.kind = Kind::kHead;
        reads[key] =
            stage_->history.begin(std::string(kClusterBucket), key, asked, stage_->cluster->now());
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
            const Tag found = stage_->tags[row->second];
            if (found == kAbsent) {
                report().violation("I4", fmt::format("LIST shows '{}' as {}, which nobody wrote",
                                                     key, row->second));
            }
            stage_->history.end(token, Outcome::kOk, found, now);
        }
    }
}

Task<void> ClusterClient::check_node(Member* member, runtime::Micros limit) {
    const std::string key = stage_->cluster->plan().keys.front();
    const runtime::Time began = stage_->cluster->now();
    const bool wrote = co_await put(member, key);
    const bool read_it = co_await read(member, key, Kind::kHead);
    const runtime::Micros took = stage_->cluster->now() - began;
    stage_->slowest = std::max(stage_->slowest, took);
    if (wrote && read_it && took <= 2 * limit) co_return;
    report().violation(
        "I10", fmt::format("after healing {} {} a write and {} a read, in {} ms", member->name(),
                           wrote ? "answered" : "did not answer",
                           read_it ? "answered" : "did not answer", took.count() / 1000));
}

Task<void> ClusterClient::read_all(Member* member) {
    for (const std::string& key : stage_->cluster->plan().keys) {
        const bool is_read = co_await read(member, key, Kind::kGet);
        if (is_read) continue;
        report().violation(
            "I10", fmt::format("after healing {} does not answer GET {}", member->name(), key));
    }
    co_await list(member);
}

}  // namespace hamster::simulation
