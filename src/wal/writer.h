// The log itself: one writer task, group commit. Private to the room; made by Wal::open().
//
// Appends queue up. The writer takes what has queued while its last write was in flight, serialises
// it into one aligned buffer and writes that durably with a single call; it starts the next write
// before the tasks that waited for the last one run again, so the disk never waits for them.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wal/files.h"
#include "wal/wal.h"

namespace hamster::wal {

// Bytes waiting in the queue; more are refused with kUnavailable. Callers limit themselves long
// before: this only keeps a bug or a stuck disk from eating the memory.
inline constexpr std::uint64_t kMaxQueuedBytes = 256ULL << 20;

class Writer final : public Wal {
  public:
    Writer(runtime::World* world, std::string dir, Options options, base::Metrics* metrics);

    runtime::Task<Result<void>> start();

    [[nodiscard]] std::uint64_t first() const override { return index_.first(); }
    [[nodiscard]] std::uint64_t next() const override { return index_.next(); }
    runtime::Task<Result<std::uint64_t>> append(std::string record) override;
    runtime::Task<Result<void>> append_at(std::uint64_t seq, std::string record) override;
    runtime::Task<Result<void>> append_all(std::uint64_t seq,
                                           std::vector<std::string> records) override;
    runtime::Task<Result<void>> read(
        std::uint64_t from, std::uint64_t to,
        std::function<Result<void>(std::uint64_t, base::Bytes)> visit) override;
    runtime::Task<Result<void>> drop_before(std::uint64_t seq) override;
    runtime::Task<Result<void>> drop_from(std::uint64_t seq) override;
    runtime::Task<Result<void>> reset(std::uint64_t seq) override;
    runtime::Task<void> stop() override;

  private:
    // One record on its way. Lives in the frame of the task that waits for it.
    struct Pending {
        RecordKind kind = RecordKind::kData;
        std::uint64_t wanted_seq = 0;  // data: 0 is "whatever comes"; markers: their argument
        std::string payload;
        Result<std::uint64_t> outcome = 0;
        runtime::Event done;
    };
    // Consecutive groups of one file, read together.
    struct Run {
        std::shared_ptr<LogFile> file;
        std::vector<GroupRef> groups;
        std::vector<std::uint64_t> ends;  // per group: the first number that is not its any more
        [[nodiscard]] std::uint64_t bytes() const;
    };

    runtime::Task<Result<std::uint64_t>> submit(Pending* item);
    runtime::Task<void> run();
    // Writes what fits into one group and answers it.
    runtime::Task<void> write_group();
    runtime::Task<Result<void>> advance();  // to the next file
    runtime::Task<void> prepare(std::uint64_t epoch);
    // Moves the next group's records from queue_ to group_; answers those that cannot go.
    std::uint64_t take_group();
    Result<void> admit(const Pending& item) const;
    void serialise(std::uint64_t bytes);
    void apply_group(std::uint64_t bytes);
    void answer_group(const Result<void>& outcome);
    void answer_all(const Error& error);
    void poison(const Error& error);
    [[nodiscard]] Run next_run(std::uint64_t from) const;
    static Result<std::uint64_t> visit_run(
        const Run& run, base::Bytes bytes, std::uint64_t from, std::uint64_t to,
        const std::function<Result<void>(std::uint64_t, base::Bytes)>& visit);

    runtime::World* world_;
    std::string dir_;
    Options options_;
    Files files_;
    base::Histogram& sync_seconds_;
    base::Counter& bytes_total_;
    base::Counter& groups_total_;
    base::Counter& records_total_;

    Index index_;
    std::deque<std::shared_ptr<LogFile>> log_;    // oldest first; the last is written to
    std::deque<std::shared_ptr<LogFile>> ready_;  // prepared for later
    std::uint64_t offset_ = 0;                    // in log_.back(): of the next group
    std::uint64_t next_number_ = 1;
    std::deque<Pending*> queue_;
    std::uint64_t queued_bytes_ = 0;
    std::vector<Pending*> group_;
    std::uint64_t group_seq_ = 0;  // of the first record in group_
    base::Buffer buffer_;
    std::optional<Error> poisoned_;
    bool preparing_ = false;
    bool closing_ = false;
    runtime::Signal wake_;
    runtime::Signal prepared_;
    runtime::Semaphore dropping_{1};
    runtime::Gate gate_;
};

}  // namespace hamster::wal
