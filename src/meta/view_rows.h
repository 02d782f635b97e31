// Reading rows of a snapshot. Private to the view. kCorrupt when a row does not parse.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "base/result.h"
#include "kv/store.h"

namespace hamster::meta {

inline std::unexpected<Error> corrupt_view_row(std::string_view row) {
    return fail(
        Code::kCorrupt,
        "metadata row " + base::hex_encode(base::as_bytes(row.substr(0, 64))) + " cannot be read");
}

template <class Message>
Result<std::optional<Message>> load(const kv::Snapshot& snapshot, const std::string& row) {
    TRY_ASSIGN(const auto bytes, snapshot.get(row));
    if (!bytes) return std::nullopt;
    Message message;
    if (!message.ParseFromString(*bytes)) return corrupt_view_row(row);
    return message;
}

// Rows in [from, to), at most `limit`, each given to `take(row, value)`, which may refuse it.
template <class Take>
Result<void> each(const kv::Snapshot& snapshot, std::string_view from, std::string_view to,
                  std::size_t limit, Take take) {
    const auto it = snapshot.iterate();
    std::size_t count = 0;
    for (it->seek(from); count < limit && it->valid() && it->key() < to; it->next()) {
        TRY(take(it->key(), it->value()));
        ++count;
    }
    return it->status();
}

template <class Message>
Result<std::vector<Message>> load_all(const kv::Snapshot& snapshot, std::string_view from,
                                      std::string_view to, std::size_t limit) {
    std::vector<Message> out;
    TRY(each(snapshot, from, to, limit,
             [&out](std::string_view row, std::string_view value) -> Result<void> {
                 Message& message = out.emplace_back();
                 if (!message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
                     return corrupt_view_row(row);
                 }
                 return {};
             }));
    return out;
}

}  // namespace hamster::meta
