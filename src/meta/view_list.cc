// Listings: one iterator over one snapshot, seeks instead of skips.
#include <algorithm>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/planted.h"
#include "meta/view.h"

namespace hamster::meta {

namespace {

constexpr std::size_t kTableAndBucket = 1 + 16;  // bytes in front of the key
constexpr std::size_t kIdBytes = 16;             // bytes behind an escaped key

std::unexpected<Error> corrupt(std::string_view row) {
    return fail(
        Code::kCorrupt,
        "listing row " + base::hex_encode(base::as_bytes(row.substr(0, 64))) + " cannot be read");
}

// The common prefix that `key` belongs to; empty when it belongs to none.
std::string_view common_prefix(const ListQuery& query, std::string_view key) {
    if (query.delimiter.empty()) return {};
    const std::size_t at = key.find(query.delimiter, query.prefix.size());
    if (at == std::string_view::npos) return {};
    return key.substr(0, at + query.delimiter.size());
}

// The first row of a listing of plain keys behind `base`.
std::string plain_start(const std::string& base, const ListQuery& query) {
    std::string from = base + query.prefix;
    if (query.after.empty()) return from;
    std::string next = base + query.after;
    if (query.after_is_prefix || base::planted(base::Bug::kListSkipsAtBorder)) {
        next = after_prefix(next);
    } else {
        next.push_back('\0');
    }
    return std::max(from, next);
}

// The same where keys are escaped; `within`: the row inside query.after to go on from.
std::string escaped_start(const std::string& base, const ListQuery& query,
                          const std::optional<std::string>& within) {
    std::string from = base + escape_prefix(query.prefix);
    if (within) return std::max(from, *within);
    if (query.after.empty()) return from;
    return std::max(from, after_prefix(base + (query.after_is_prefix ? escape_prefix(query.after)
                                                                     : escape_key(query.after))));
}

struct KeyedRow {
    std::string key;
    std::string_view id;  // as stored; valid while the iterator stands
};
Result<KeyedRow> split_row(std::string_view row) {
    std::string_view rest = row.substr(std::min(row.size(), kTableAndBucket));
    auto key = unescape_key(rest);
    if (!key || rest.size() != kIdBytes) return corrupt(row);
    return KeyedRow{std::move(*key), rest};
}

// What pages have in common: counting, the position to go on from.
template <class Entry>
class PageBuilder {
  public:
    explicit PageBuilder(std::size_t limit) : limit_(limit) {}
    [[nodiscard]] bool full() const { return count_ >= limit_; }
    void add(std::string_view key, Entry entry) {
        page_.last.assign(key);
        page_.last_is_prefix = false;
        page_.entries.push_back(std::move(entry));
        ++count_;
    }
    void add_prefix(std::string_view prefix) {
        page_.last.assign(prefix);
        page_.last_is_prefix = true;
        page_.prefixes.emplace_back(prefix);
        ++count_;
    }
    Page<Entry> finish(bool more) {
        page_.truncated = more && limit_ > 0;  // S3: max-keys=0 is never truncated
        return std::move(page_);
    }

  private:
    std::size_t limit_;
    std::size_t count_ = 0;
    Page<Entry> page_;
};

class Collector final : public CurrentVisitor {
  public:
    explicit Collector(Page<CurrentEntry>& page) : page_(page) {}
    void on_key(std::string_view key, const proto::Current& current) override {
        page_.entries.push_back({std::string(key), current});
    }
    void on_prefix(std::string_view prefix) override { page_.prefixes.emplace_back(prefix); }

  private:
    Page<CurrentEntry>& page_;
};

// Steps through the versions of a bucket in listing order: the null version, whose row is the last
// of its key, is put where its time says.
class VersionWalk {
  public:
    VersionWalk(const kv::Snapshot& snapshot, const BucketId& bucket)
        : snapshot_(snapshot), bucket_(bucket), it_(snapshot.iterate()) {}

    kv::Iterator& rows() { return *it_; }
    [[nodiscard]] const std::string& key() const { return key_; }
    // The row's key is another one than that of the entry before.
    Result<bool> at_new_key();
    Result<void> enter_key();
    // Goes on inside `key`, behind its version `after`.
    Result<void> resume(const std::string& key, const VersionId& after);
    // The next entry of the key; nullopt when the row is one that was listed already.
    Result<std::optional<VersionEntry>> take();

  private:
    Result<void> load_null();
    [[nodiscard]] bool null_is_newer_than(const VersionId& id) const {
        return null_ && null_->order() > id.view();
    }
    VersionEntry entry(proto::Version version);

    const kv::Snapshot& snapshot_;
    BucketId bucket_;
    std::unique_ptr<kv::Iterator> it_;
    bool in_key_ = false;
    std::string key_;
    VersionId row_id_;
    std::optional<proto::Version> null_;  // not listed yet
    bool null_listed_ = false;
    bool is_latest_ = false;  // of the next entry
};

VersionId id_of(std::string_view stored) {
    VersionId id = *VersionId::from_bytes(stored);
    for (std::byte& b : id.raw) {
        b = ~b;
    }
    return id;
}

Result<bool> VersionWalk::at_new_key() {
    TRY_ASSIGN(auto row, split_row(it_->key()));
    row_id_ = id_of(row.id);
    if (in_key_ && row.key == key_) return false;
    key_ = std::move(row.key);
    return true;
}

Result<void> VersionWalk::load_null() {
    const std::string row = version_row(bucket_, key_, VersionId{});
    TRY_ASSIGN(const auto bytes, snapshot_.get(row));
    if (!bytes) return {};
    null_.emplace();
    if (!null_->ParseFromString(*bytes)) return corrupt(row);
    return {};
}

Result<void> VersionWalk::enter_key() {
    in_key_ = true;
    is_latest_ = true;
    null_listed_ = false;
    null_.reset();
    if (row_id_.is_zero()) return {};  // the only version
    return load_null();
}

Result<void> VersionWalk::resume(const std::string& key, const VersionId& after) {
    key_ = key;
    in_key_ = true;
    is_latest_ = false;
    TRY(load_null());
    std::string from = after_prefix(version_prefix(bucket_, key));
    if (!after.is_zero()) {
        null_listed_ = null_is_newer_than(after);
        from = version_row(bucket_, key, after) + '\0';
    } else if (null_) {
        null_listed_ = true;
        const auto order = VersionId::from_bytes(null_->order());
        if (!order) return corrupt(version_row(bucket_, key, VersionId{}));
        from = version_row(bucket_, key, *order) + '\0';
    }
    if (null_listed_) null_.reset();
    it_->seek(from);
    return {};
}

VersionEntry VersionWalk::entry(proto::Version version) {
    VersionEntry out{key_, std::move(version), is_latest_};
    is_latest_ = false;
    return out;
}

Result<std::optional<VersionEntry>> VersionWalk::take() {
    HAMSTER_ASSERT(in_key_ && it_->valid());
    if (!row_id_.is_zero() && null_is_newer_than(row_id_)) {
        null_listed_ = true;
        auto out = entry(std::move(*null_));
        null_.reset();
        return out;  // the row is for the next call
    }
    if (row_id_.is_zero() && null_listed_) {
        it_->next();
        return std::nullopt;
    }
    proto::Version version;
    if (!version.ParseFromArray(it_->value().data(), static_cast<int>(it_->value().size()))) {
        return corrupt(it_->key());
    }
    it_->next();
    return entry(std::move(version));
}

}  // namespace

Result<PageEnd> View::visit_current(const BucketId& bucket, const ListQuery& query,
                                    CurrentVisitor& visitor) const {
    const std::string base = currents_of_bucket(bucket);
    HAMSTER_ASSERT(base.size() == kTableAndBucket);
    const std::string end = after_prefix(base + query.prefix);
    const auto it = snapshot_->iterate();
    PageEnd page;
    proto::Current current;  // reused: no allocation per row
    it->seek(plain_start(base, query));
    std::size_t count = 0;
    for (; count < query.limit && it->valid() && it->key() < end; ++count) {
        const std::string_view key = it->key().substr(kTableAndBucket);
        const std::string_view common = common_prefix(query, key);
        page.last_is_prefix = !common.empty();
        page.last.assign(common.empty() ? key : common);
        if (!common.empty()) {
            visitor.on_prefix(common);
            it->seek(after_prefix(base + page.last));
            continue;
        }
        const std::string_view value = it->value();
        if (!current.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
            return corrupt(it->key());
        }
        visitor.on_key(key, current);
        it->next();
    }
    TRY(it->status());
    page.truncated = query.limit > 0 && it->valid() && it->key() < end;
    return page;
}

Result<Page<CurrentEntry>> View::list_current(const BucketId& bucket,
                                              const ListQuery& query) const {
    Page<CurrentEntry> page;
    Collector collector(page);
    TRY_ASSIGN(auto end, visit_current(bucket, query, collector));
    page.truncated = end.truncated;
    page.last = std::move(end.last);
    page.last_is_prefix = end.last_is_prefix;
    return page;
}

Result<Page<VersionEntry>> View::list_versions(const BucketId& bucket, const ListQuery& query,
                                               std::optional<VersionId> after_version) const {
    const std::string base = versions_of_bucket(bucket);
    const std::string end = after_prefix(base + escape_prefix(query.prefix));
    VersionWalk walk(*snapshot_, bucket);
    kv::Iterator& rows = walk.rows();
    if (after_version && query.after.starts_with(query.prefix)) {
        TRY(walk.resume(query.after, *after_version));
    } else {
        rows.seek(escaped_start(base, query, std::nullopt));
    }
    PageBuilder<VersionEntry> page(query.limit);
    bool more = false;
    while (!more && rows.valid() && rows.key() < end) {
        TRY_ASSIGN(const bool is_new, walk.at_new_key());
        const std::string_view common = is_new ? common_prefix(query, walk.key()) : "";
        if (page.full()) {
            // A row of the same key may be that of the null version, listed before its turn.
            more = is_new;
            if (!more) {
                TRY_ASSIGN(const auto entry, walk.take());
                more = entry.has_value();
            }
            continue;
        }
        if (!common.empty()) {
            page.add_prefix(common);
            rows.seek(after_prefix(base + escape_prefix(common)));
            continue;
        }
        if (is_new) {
            TRY(walk.enter_key());
        }
        TRY_ASSIGN(auto entry, walk.take());
        if (entry) page.add(walk.key(), std::move(*entry));
    }
    TRY(rows.status());
    return page.finish(more);
}

Result<Page<UploadEntry>> View::list_uploads(const BucketId& bucket, const ListQuery& query,
                                             std::optional<base::UploadId> after_upload) const {
    const std::string base = uploads_of_bucket(bucket);
    const std::string end = after_prefix(base + escape_prefix(query.prefix));
    std::optional<std::string> within;
    if (after_upload) within = upload_row(bucket, query.after, *after_upload) + '\0';
    const auto it = snapshot_->iterate();
    it->seek(escaped_start(base, query, within));
    PageBuilder<UploadEntry> page(query.limit);
    while (!page.full() && it->valid() && it->key() < end) {
        TRY_ASSIGN(auto row, split_row(it->key()));
        const std::string_view common = common_prefix(query, row.key);
        if (!common.empty()) {
            page.add_prefix(common);
            it->seek(after_prefix(base + escape_prefix(common)));
            continue;
        }
        UploadEntry entry;
        if (!entry.upload.ParseFromArray(it->value().data(),
                                         static_cast<int>(it->value().size()))) {
            return corrupt(it->key());
        }
        entry.key = row.key;
        page.add(row.key, std::move(entry));
        it->next();
    }
    TRY(it->status());
    return page.finish(it->valid() && it->key() < end);
}

}  // namespace hamster::meta
