// MD5 of a large body on the pool, piece by piece in order, while the loop reads on. MD5 is the
// slowest thing that happens to a long body, so its thread shall not wait: pieces queue up for it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::s3 {

// Owns copies of the bytes it hashes, at most kMemoryBytes, so callers may reuse theirs at once.
// One loop.
class Md5Lane {
  public:
    static constexpr std::size_t kPieceBytes = 256 * 1024;
    static constexpr std::size_t kPieces = 3;  // one being hashed, the others wait for their turn
    static constexpr std::size_t kMemoryBytes = kPieces * kPieceBytes;

    explicit Md5Lane(runtime::World* world) : world_(world) {}

    // Waits only while kPieces pieces are on their way.
    runtime::Task<void> update(base::Bytes bytes);
    // The 16 bytes of all that was given.
    runtime::Task<std::string> finish();
    // Must be awaited before destruction.
    runtime::Task<void> stop() { return gate_.close(); }

  private:
    struct Shared;
    static bool hash_next(const std::shared_ptr<Shared>& shared);
    static runtime::Task<void> run(runtime::World* world, std::shared_ptr<Shared> shared);

    Shared& shared();
    base::Buffer take_spare();
    bool is_busy();

    runtime::World* world_;
    runtime::Gate gate_;
    std::shared_ptr<Shared> shared_;  // null until the first byte: most bodies are small
};

}  // namespace hamster::s3
