// The changes of one command, collected over what earlier ones staged: reads see them, refusals
// drop them, commit stages them as a whole. Private to apply; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/staging.h"
#include "proto/commands.pb.h"

namespace hamster::meta {

class Txn {
  public:
    Txn(Staging& staging, base::LogIndex index, std::uint64_t stamp_ms)
        : staging_(staging), index_(index), stamp_ms_(stamp_ms) {}

    [[nodiscard]] base::LogIndex index() const { return index_; }
    [[nodiscard]] std::uint64_t stamp_ms() const { return stamp_ms_; }

    [[nodiscard]] Result<std::optional<std::string>> get(const std::string& row) const;
    [[nodiscard]] Result<bool> exists(const std::string& row) const;
    // kCorrupt when the row does not parse.
    template <class Message>
    [[nodiscard]] Result<std::optional<Message>> load(const std::string& row) const {
        TRY_ASSIGN(auto bytes, get(row));
        if (!bytes) return std::nullopt;
        Message message;
        if (!message.ParseFromString(*bytes)) return corrupt_row(row);
        return message;
    }
    void put(std::string row, std::string value) { changes_[std::move(row)] = std::move(value); }
    void put(std::string row, const google::protobuf::MessageLite& message);
    void erase(std::string row) { changes_[std::move(row)] = std::nullopt; }
    // Applies to the rows that were there before this command.
    void erase_range(std::string from, std::string to);

    struct Row {
        std::string key;
        std::string value;
    };
    // Rows of earlier commands (not of this transaction) in [from, to), at most `limit`.
    [[nodiscard]] Result<std::vector<Row>> scan(std::string_view from, std::string_view to,
                                                std::size_t limit) const;

    // Forgets every change so far: the command was refused.
    void discard();
    // Range erasures write through to the store.
    Result<void> commit();

    static std::unexpected<Error> corrupt_row(std::string_view row);

  private:
    struct Range {
        std::string from;
        std::string to;
    };
    Staging& staging_;
    base::LogIndex index_;
    std::uint64_t stamp_ms_;
    Changes changes_;
    std::vector<Range> ranges_;
};

}  // namespace hamster::meta
