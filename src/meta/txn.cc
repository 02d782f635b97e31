#include "meta/txn.h"

#include <utility>

#include "base/assert.h"
#include "base/encoding.h"

namespace hamster::meta {

Result<std::optional<std::string>> Txn::get(const std::string& row) const {
    HAMSTER_ASSERT(!row.empty());
    if (const auto change = changes_.find(row); change != changes_.end()) {
        return change->second;
    }
    return staging_.get(row);
}

Result<bool> Txn::exists(const std::string& row) const {
    TRY_ASSIGN(const auto value, get(row));
    return value.has_value();
}

void Txn::put(std::string row, const google::protobuf::MessageLite& message) {
    std::string value;
    const bool serialised = message.SerializeToString(&value);
    HAMSTER_ASSERT(serialised);
    put(std::move(row), std::move(value));
}

void Txn::erase_range(std::string from, std::string to) {
    HAMSTER_ASSERT(from < to);
    ranges_.push_back({std::move(from), std::move(to)});
}

Result<std::vector<Txn::Row>> Txn::scan(std::string_view from, std::string_view to,
                                        std::size_t limit) const {
    HAMSTER_ASSERT(from <= to);
    std::vector<Row> rows;
    TRY(staging_.write());
    const auto snapshot = staging_.store().snapshot();
    const auto it = snapshot->iterate();
    for (it->seek(from); it->valid() && it->key() < to && rows.size() < limit; it->next()) {
        rows.push_back({std::string(it->key()), std::string(it->value())});
    }
    TRY(it->status());
    return rows;
}

void Txn::discard() {
    changes_.clear();
    ranges_.clear();
}

Result<void> Txn::commit() {
    if (ranges_.empty()) {
        staging_.take(std::move(changes_));
        return {};
    }
    TRY(staging_.write());
    const auto batch = staging_.store().batch();
    for (const Range& range : ranges_) {
        batch->erase_range(range.from, range.to);
    }
    add_to(*batch, changes_);
    return staging_.store().write(*batch);
}

std::unexpected<Error> Txn::corrupt_row(std::string_view row) {
    const std::string hex = base::hex_encode(base::as_bytes(row.substr(0, 64)));
    return fail(Code::kCorrupt, "metadata row " + hex + " cannot be read");
}

}  // namespace hamster::meta
