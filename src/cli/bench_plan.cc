#include "cli/bench_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/encoding.h"
#include "cli/bench_reply.h"
#include "crypto/digest.h"
#include "s3/xml.h"

namespace hamster::cli::bench {

namespace {

// Of 100 requests of the mixed load; the rest are deletes.
constexpr std::uint64_t kMixedGets = 45;
constexpr std::uint64_t kMixedPuts = 30;
constexpr std::uint64_t kMixedStats = 15;

std::uint64_t tickets_of(const Options& options, Phase phase, std::uint64_t objects) {
    if (phase == Phase::kPrepare) return objects;
    if (phase == Phase::kClean) return (objects + Plan::kDeleteBatch - 1) / Plan::kDeleteBatch;
    return options.requests.value_or(UINT64_MAX);
}

}  // namespace

std::string key_of(const Options& options, std::uint64_t object) {
    return fmt::format("{}{:010}", options.prefix, object);
}

Plan::Plan(const Options* options, Phase phase, std::uint64_t first, std::uint64_t end)
    : options_(options),
      phase_(phase),
      first_(first),
      objects_(end),
      tickets_(tickets_of(*options, phase, end - first)) {
    HAMSTER_ASSERT(first <= end, first, end);
}

std::uint64_t Plan::objects_end() const {
    if (phase_ == Phase::kMeasure && options_->mode == Mode::kPut && options_->objects == 0) {
        return std::min(drawn_.load(), tickets_);
    }
    return objects_ + added_.load();
}

std::optional<Request> Plan::next(Client* client) {
    const std::uint64_t ticket = drawn_.fetch_add(1, std::memory_order_relaxed);
    if (ticket >= tickets_) return std::nullopt;
    switch (phase_) {
        case Phase::kPrepare:
            return on_object(Op::kPut, first_ + ticket);
        case Phase::kClean:
            return delete_many(first_ + ticket * kDeleteBatch);
        case Phase::kMeasure:
            return measured(client, ticket);
    }
    return std::nullopt;
}

Request Plan::measured(Client* client, std::uint64_t ticket) {
    switch (options_->mode) {
        case Mode::kPut:
            return on_object(Op::kPut, objects_ == 0 ? ticket : ticket % objects_);
        case Mode::kGet:
            return on_object(Op::kGet, client->prng.below(objects_));
        case Mode::kStat:
            return on_object(Op::kStat, client->prng.below(objects_));
        case Mode::kMixed:
            return mixed(client);
        case Mode::kList:
            return listing(client);
        case Mode::kDelete:
            break;
    }
    return on_object(Op::kDelete, ticket);
}

Request Plan::on_object(Op op, std::uint64_t object) const {
    Request request;
    request.op = op;
    request.object = object;
    if (op == Op::kPut) request.method = "PUT";
    if (op == Op::kStat) request.method = "HEAD";
    if (op == Op::kDelete) request.method = "DELETE";
    if (op == Op::kPut) request.sends_object = options_->size;
    if (!options_->path.empty()) {
        request.path = options_->path;
    } else {
        request.path =
            "/" + options_->bucket + "/" + base::uri_encode(key_of(*options_, object), true);
    }
    return request;
}

Request Plan::mixed(Client* client) {
    const std::uint64_t die = client->prng.below(100);
    if (die < kMixedGets) return on_object(Op::kGet, client->prng.below(objects_));
    const bool deletes = die >= kMixedGets + kMixedPuts + kMixedStats && !client->own.empty();
    if (deletes) {
        const std::uint64_t object = client->own.back();
        client->own.pop_back();
        return on_object(Op::kDelete, object);
    }
    if (die >= kMixedGets + kMixedPuts && die < kMixedGets + kMixedPuts + kMixedStats) {
        return on_object(Op::kStat, client->prng.below(objects_));
    }
    const std::uint64_t object = objects_ + added_.fetch_add(1, std::memory_order_relaxed);
    client->own.push_back(object);
    return on_object(Op::kPut, object);
}

// Clients start spread over the keys and then walk them page by page, round and round.
Request Plan::listing(Client* client) const {
    Request request;
    request.op = Op::kList;
    request.path = "/" + options_->bucket;
    if (!client->continuation.empty()) {
        request.query = "continuation-token=" + client->continuation + "&";
    }
    request.query += fmt::format("list-type=2&max-keys={}&prefix={}", options_->page,
                                 base::uri_encode(options_->prefix, false));
    if (!client->listed && client->number > 0) {
        const std::uint64_t start = client->number * (objects_ / options_->clients);
        request.query += "&start-after=" + base::uri_encode(key_of(*options_, start), false);
    }
    client->listed = true;
    return request;
}

std::uint64_t Plan::take_listing(Client* client, std::string_view xml) const {
    const std::string token = xml_unescape(xml_text(xml, "NextContinuationToken"));
    client->continuation = base::uri_encode(token, false);
    return count_of(xml, "<Contents>");
}

Request Plan::delete_many(std::uint64_t first) const {
    Request request;
    request.op = Op::kAdmin;
    request.method = "POST";
    request.path = "/" + options_->bucket;
    request.query = "delete=";
    request.body = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
    const std::uint64_t end = std::min(first + kDeleteBatch, objects_);
    for (std::uint64_t object = first; object < end; ++object) {
        request.body += "<Object><Key>";
        s3::append_xml_escaped(request.body, key_of(*options_, object));
        request.body += "</Key></Object>";
    }
    request.body += "</Delete>";
    const std::string md5 = crypto::md5(base::as_bytes(request.body));
    request.content_md5 = base::base64_encode(base::as_bytes(md5));
    return request;
}

}  // namespace hamster::cli::bench
