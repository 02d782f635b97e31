// Listings against the model: each page is a read of every key it covers.
#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "workload.h"

namespace hamster::simulation {

namespace {

struct ListedKey {
    std::string etag;
    std::uint64_t size = 0;
};

// The common prefix a key falls under; empty when none.
std::string group_of(const std::string& key, const std::string& prefix,
                     const std::string& delimiter) {
    if (delimiter.empty()) return {};
    const std::size_t at = key.find(delimiter, prefix.size());
    return at == std::string::npos ? std::string() : key.substr(0, at + delimiter.size());
}

// Whether a listing that goes on after `after` (a key or a common prefix) may show `row`.
bool is_behind(const std::string& row, const std::string& after, bool after_is_group) {
    if (after.empty()) return true;
    if (after_is_group && row.starts_with(after)) return false;
    return row > after;
}

}  // namespace

Task<void> Worker::list() {
    constexpr std::array<std::string_view, 4> kPrefixes = {"", "", "a/", "k"};
    const std::string prefix(kPrefixes[below(kPrefixes.size())]);
    const std::string delimiter = chance(40) ? "/" : "";
    const bool v2 = chance(70);
    const int limit = chance(70) ? static_cast<int>(below(4) + 1) : 1000;
    std::string after;
    std::string token;
    for (int page = 0; page < 40 && !stage_->stop; ++page) {
        const bool more = co_await list_page(prefix, delimiter, &after, &token, v2, limit);
        if (!more || (chance(10) && !stage_->healthy)) co_return;
    }
}

Task<bool> Worker::list_page(std::string prefix, std::string delimiter, std::string* after,
                             std::string* token, bool v2, int limit) {
    S3Request request;
    request.bucket = kBucket;
    if (v2) request.query.emplace_back("list-type", "2");
    if (!prefix.empty()) request.query.emplace_back("prefix", prefix);
    if (!delimiter.empty()) request.query.emplace_back("delimiter", delimiter);
    if (limit != 1000) request.query.emplace_back("max-keys", std::to_string(limit));
    if (v2 && !token->empty()) request.query.emplace_back("continuation-token", *token);
    if (!v2 && !after->empty()) request.query.emplace_back("marker", *after);
    const bool after_is_group = !delimiter.empty() && after->ends_with(delimiter);
    std::map<std::string, OpId> reads;
    for (const std::string& key : stage_->keys) {
        const std::string group = group_of(key, prefix, delimiter);
        if (!key.starts_with(prefix)) continue;
        if (!is_behind(group.empty() ? key : group, *after, after_is_group)) continue;
        Intent intent;
        intent.text = fmt::format("worker {}: LIST prefix='{}' delimiter='{}' after='{}' max={}",
                                  number_, prefix, delimiter, *after, limit);
        reads[key] = stage_->model->begin(key, std::move(intent));
    }
    auto reply = co_await call(std::move(request), v2 ? "list-v2" : "list-v1");
    std::string last;
    bool truncated = false;
    if (!reply.ok()) {
        if (!excused(reply, "LIST")) {
            stage_->report->violation(
                "I4", fmt::format("LIST was answered {} {}", reply.status, reply.body));
        }
        for (const auto& [key, op] : reads) stage_->model->unknown(op);
        co_return false;
    }
    check_listed(prefix, delimiter, *after, reads, reply, &last, &truncated);
    *after = last;
    *token = xml_text(reply.body, "NextContinuationToken");
    co_return truncated && !stage_->report->failed();
}

void Worker::check_listed(const std::string& prefix, const std::string& delimiter,
                          const std::string& after, const std::map<std::string, OpId>& reads,
                          const S3Reply& reply, std::string* last, bool* truncated) {
    Model& model = *stage_->model;
    std::map<std::string, ListedKey> keys;
    std::set<std::string> groups;
    for (const std::string& row : xml_elements(reply.body, "Contents")) {
        const std::string key = xml_text(row, "Key");
        std::string etag = xml_text(row, "ETag");
        if (etag.size() > 2) etag = etag.substr(1, etag.size() - 2);
        if (!keys.empty() && key <= keys.rbegin()->first) {
            stage_->report->violation("I4", fmt::format("LIST repeats or disorders '{}'", key));
        }
        keys[key] = {etag, base::parse_u64(xml_text(row, "Size")).value_or(UINT64_MAX)};
    }
    for (const std::string& row : xml_elements(reply.body, "CommonPrefixes")) {
        groups.insert(xml_text(row, "Prefix"));
    }
    *truncated = xml_text(reply.body, "IsTruncated") == "true";
    if (!keys.empty()) *last = keys.rbegin()->first;
    if (!groups.empty()) *last = std::max(*last, *groups.rbegin());
    stage_->report->reached(*truncated ? "list.page" : "list.end");
    const bool last_is_group = groups.contains(*last);
    for (const auto& [key, op] : reads) {
        const std::string group = group_of(key, prefix, delimiter);
        const std::string& row = group.empty() ? key : group;
        if (*truncated && is_behind(row, *last, last_is_group)) {
            model.unknown(op);  // of a later page
        } else if (!group.empty() && groups.contains(group)) {
            model.unknown(op);  // some key under it is there; which, nobody said
        } else if (keys.contains(key)) {
            model.end(op, Told::kDone, model.has_etag(keys[key].etag, keys[key].size));
        } else {
            model.end(op, Told::kDone, Model::is_absent);
        }
        keys.erase(key);
    }
    if (!keys.empty()) {
        stage_->report->violation("I4", fmt::format("LIST prefix='{}' delimiter='{}' after='{}' "
                                                    "shows '{}', which does not belong there",
                                                    prefix, delimiter, after, keys.begin()->first));
    }
    for (const std::string& group : groups) {
        const bool may_be = std::ranges::any_of(stage_->keys, [&](const std::string& key) {
            const auto states = model.possible(key);
            return key.starts_with(group) &&
                   (states.size() > 1 || !states.begin()->absent() ||
                    model.history(key).find("DELETE") != std::string::npos ||
                    model.history(key).find("Delete") != std::string::npos);
        });
        if (!may_be) {
            stage_->report->violation("I4",
                                      fmt::format("LIST shows the prefix '{}' of no key", group));
        }
    }
}

Task<void> Worker::verify_all() {
    for (const std::string& key : stage_->keys) {
        if (stage_->report->failed() || stage_->stop) co_return;
        co_await read_key(key, to_key("GET", key));
        co_await read_key(key, to_key("HEAD", key));
    }
    std::string after;
    std::string token;
    const std::string delimiter = chance(50) ? "/" : "";
    const bool v2 = chance(50);
    bool more = true;
    while (more && !stage_->stop) {
        const int limit = static_cast<int>(below(7) + 1);
        more = co_await list_page("", delimiter, &after, &token, v2, limit);
    }
    client_.disconnect();
}

Task<void> Worker::delete_all() {
    for (const std::string& key : stage_->keys) {
        if (stage_->report->failed() || stage_->stop) co_return;
        S3Request request = to_key("DELETE", key);
        Intent intent;
        intent.change = Change::kDelete;
        intent.text = fmt::format("worker {}: final DELETE", number_);
        const OpId op = stage_->model->begin(key, std::move(intent));
        auto reply = co_await call(std::move(request), "delete");
        settle_write(op, reply, false);
    }
    client_.disconnect();
}

}  // namespace hamster::simulation
