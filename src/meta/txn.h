// The changes of one command, collected over a store: reads see them, refusals drop them, commit
// writes them in row order as one atomic batch. Private to apply; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kv/store.h"
#include "proto/commands.pb.h"

namespace hamster::meta {

class Txn {
  public:
    Txn(kv::Store& store, base::LogIndex index, std::uint64_t stamp_ms)
        : store_(store), index_(index), stamp_ms_(stamp_ms) {}

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
    // Applies to the rows that were in the store before this command.
    void erase_range(std::string from, std::string to);

    struct Row {
        std::string key;
        std::string value;
    };
    // Rows of the store (not of this transaction) in [from, to), at most `limit`.
    [[nodiscard]] Result<std::vector<Row>> scan(std::string_view from, std::string_view to,
                                                std::size_t limit) const;

    // Forgets every change so far: the command was refused.
    void discard();
    Result<void> commit();

    static std::unexpected<Error> corrupt_row(std::string_view row);

  private:
    struct Range {
        std::string from;
        std::string to;
    };
    kv::Store& store_;
    base::LogIndex index_;
    std::uint64_t stamp_ms_;
    // Ordered, so that equal commands give equal batches. nullopt: erased.
    std::map<std::string, std::optional<std::string>, std::less<>> changes_;
    std::vector<Range> ranges_;
};

}  // namespace hamster::meta
