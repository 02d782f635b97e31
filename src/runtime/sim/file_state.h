// One simulated file: what the machine sees (cached), what a crash cannot take (durable), and the
// operations in between. Pure: no time, no coroutines. The fault model is in disk.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>

#include "runtime/prng.h"
#include "runtime/sim/image.h"

namespace hamster::runtime::sim {

inline constexpr std::uint64_t kSector = 512;

struct FileChange {
    enum class Kind : std::uint8_t { kWrite, kReserve, kZero, kPunch, kTruncate };
    Kind kind = Kind::kWrite;
    std::uint64_t offset = 0;  // kTruncate: the new size
    std::uint64_t length = 0;
    std::string data;  // kWrite only
};

// A position in the order of a file's changes.
using ChangeNumber = std::uint64_t;

class FileState {
  public:
    [[nodiscard]] const Image& cached() const { return cached_; }
    [[nodiscard]] const Image& durable() const { return durable_; }

    // What a crash leaves at the least: also durable changes that wait for older ones, which may or
    // may not survive themselves.
    [[nodiscard]] Image certain() const;

    // Into the cache; durable after a sync that starts later.
    void apply(FileChange change);
    // A durable write: in flight from begin() to finish() or fail().
    ChangeNumber begin_durable(FileChange change);
    void finish_durable(ChangeNumber number);
    void fail_durable(ChangeNumber number, Random& random);  // whole, torn or absent
    // Everything before the mark becomes durable, or is lost for good while the cache still shows
    // it.
    [[nodiscard]] ChangeNumber sync_mark() const { return next_; }
    void finish_sync(ChangeNumber mark);
    void fail_sync(ChangeNumber mark);
    // Each change that is not durable is kept, lost or torn.
    void crash(Random& random);
    void flip_bit(std::uint64_t bit);

  private:
    enum class Stage : std::uint8_t { kCached, kInFlight, kDurable };
    struct Pending {
        ChangeNumber number;
        Stage stage;
        FileChange change;
    };
    // Moves durable changes into durable_, as far as nothing older that overlaps is undecided.
    void settle();

    Image cached_;
    Image durable_;
    std::list<Pending> pending_;  // in order of effect
    ChangeNumber next_ = 1;
};

}  // namespace hamster::runtime::sim
