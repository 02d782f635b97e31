// Blobs of other geometries become those of the profile that the operator asked for, one after the
// other: read like a body that a client fetches, stored like one that it sends, and then the new
// one takes the place of the old one in the metadata. The first node does it that is up, of those
// that have the partition of the old blob: where two think so, the second one is refused. Nothing
// is remembered: what still has another geometry is still to be done. Control loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/metrics.h"
#include "meta/view.h"
#include "objects/pacer.h"
#include "objects/site.h"

namespace hamster::objects {

class Reencoder {
  public:
    Reencoder(const Site* site, base::Metrics* metrics);

    // All that is to be done and can be now.
    runtime::Task<void> round();

    struct Report {
        std::uint64_t blobs = 0;  // since start
        std::uint64_t bytes = 0;
    };
    [[nodiscard]] Report report() const { return {blobs_.value(), bytes_.value()}; }

  private:
    struct Cursor {
        std::uint16_t partition = 0;
        std::optional<base::BlobId> after;
    };
    // Blobs that are to be re-encoded by this node, from one page of rows.
    Result<std::vector<meta::BlobEntry>> next(const meta::View& view, const proto::Reencode& wanted,
                                              Cursor* cursor) const;
    // The members, in id order: only these do anything, those that are leaving as the last ones.
    struct Members {
        std::vector<base::NodeId> staying;
        std::vector<base::NodeId> leaving;
    };
    static Result<Members> members_of(const meta::View& view);
    [[nodiscard]] bool is_mine(const Members& members, const meta::PartitionPlaces& places) const;
    [[nodiscard]] std::size_t nodes_up() const;
    // Whether it is still to be done, and by this node.
    Result<bool> is_to_do(const meta::View& view, base::BlobId blob,
                          const proto::Reencode& wanted) const;
    // True: go on with the next one.
    runtime::Task<bool> try_one(meta::BlobEntry entry, proto::Reencode wanted);
    runtime::Task<Result<void>> replace_by(Result<StoredBody> stored, const meta::BlobEntry* entry,
                                           proto::Reencode wanted);
    void note_failure(base::BlobId blob, const Error& error);
    runtime::Task<Result<std::unique_ptr<BodyReader>>> open(meta::View view,
                                                            const meta::BlobEntry* entry);
    runtime::Task<Result<bool>> replace(base::BlobId blob, StoredBody* body,
                                        proto::Reencode wanted);

    const Site* site_;
    Pacer pacer_;
    base::Counter& blobs_;
    base::Counter& bytes_;
    std::optional<base::BlobId> warned_of_;  // the last one that failed
};

}  // namespace hamster::objects
