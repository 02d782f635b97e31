// What applied commands changed and the store does not have yet. Reads see it. A group of commands
// becomes one batch of the store: rows that every command writes (the applied index, counters) are
// written once. Private to apply and the group; one thread.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kv/store.h"

namespace hamster::meta {

// Ordered, so that equal commands give equal batches. nullopt: erased.
using Changes = std::map<std::string, std::optional<std::string>, std::less<>>;

// Puts and erases in row order.
void add_to(kv::Batch& batch, const Changes& changes);

class Staging {
  public:
    explicit Staging(kv::Store& store) : store_(store) {}
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    [[nodiscard]] Result<std::optional<std::string>> get(const std::string& row) const;
    // Takes the changes of one whole command, so that whatever is written ends between two.
    void take(Changes changes);
    // Writes what was taken. After it the store alone holds everything: what scans it, or erases
    // ranges of it, comes after this.
    Result<void> write();
    [[nodiscard]] kv::Store& store() { return store_; }
    // write() when enough waits that its memory counts; a no-op before.
    Result<void> write_if_large();

  private:
    kv::Store& store_;
    Changes changes_;
    std::size_t bytes_ = 0;  // taken since the last write
};

}  // namespace hamster::meta
