// Start-up: opens the index and the segments, replays what the segments hold beyond the index,
// and leaves every old segment sealed; an index that is missing or damaged is rebuilt from the
// segments. Segments that the index needs and that are not there stop it: most likely a disk is not
// mounted, and dropping their rows would be final. Control loop, before anything else runs.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shards/core.h"
#include "shards/reclaim.h"
#include "shards/scan.h"

namespace hamster::shards {

class Recovery {
  public:
    Recovery(Core* core, Reclaimer* reclaimer) : core_(core), reclaimer_(reclaimer) {}
    // kIo, kUnsupported (files of a newer version), kNoSpace, kInvalid (segments are missing).
    runtime::Task<Result<void>> run();

  private:
    struct Replayed {  // a record held back until a later group proves that it was acknowledged
        Header header;
        std::uint64_t next = 0;
    };
    runtime::Task<Result<void>> find_mark();
    runtime::Task<Result<void>> make_mark();
    runtime::Task<Result<void>> attempt();
    runtime::Task<Result<void>> open_index();
    runtime::Task<Result<void>> wipe_index();
    runtime::Task<Result<void>> open_segments();
    runtime::Task<Result<void>> open_segment(std::string file_name);
    [[nodiscard]] bool is_retired(const Segment& segment, const SegmentRow& row) const;
    [[nodiscard]] Result<void> check_missing() const;
    Result<void> adopt_states();
    Result<void> purge(const std::map<std::uint32_t, SegmentRow>& gone);
    runtime::Task<Result<void>> replay_all();
    runtime::Task<Result<void>> replay(SegmentRef segment);
    runtime::Task<Result<void>> apply(Change* change, Header header, std::string seal);
    runtime::Task<Result<std::optional<Geometry>>> check_seal(Header header, std::string seal);
    runtime::Task<Result<void>> settle_all();
    runtime::Task<Result<void>> settle_small(SegmentRef segment);
    runtime::Task<Result<void>> settle_large(SegmentRef segment);
    Result<void> commit(Change* change);

    Core* core_;
    Reclaimer* reclaimer_;
    bool is_marked_ = false;
    bool is_store_ = false;  // a store was made here earlier
    bool rebuild_ = false;
    bool purged_ = false;  // rows were dropped: a loss that was accepted once stays accepted
    std::uint64_t replayed_ = 0;
    std::map<std::uint32_t, SegmentRow> states_;   // as the index has them
    std::map<std::uint32_t, SegmentRef> opened_;   // files found
    std::map<std::uint32_t, std::uint64_t> size_;  // of those files
};

}  // namespace hamster::shards
