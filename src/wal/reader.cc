// Reading back: the other half of Writer.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "wal/writer.h"

namespace hamster::wal {

std::uint64_t Writer::Run::bytes() const {
    return groups.back().offset + groups.back().length - groups.front().offset;
}

Writer::Run Writer::next_run(std::uint64_t from) const {
    const auto& groups = index_.groups();
    auto it = std::ranges::upper_bound(groups, from, {}, &GroupRef::first_seq);
    HAMSTER_ASSERT(it != groups.begin(), from);
    --it;
    Run run;
    const auto file = std::ranges::find(log_, it->epoch, &LogFile::epoch);
    HAMSTER_ASSERT(file != log_.end(), it->epoch);
    run.file = *file;
    do {
        run.groups.push_back(*it);
        ++it;
        run.ends.push_back(it == groups.end() ? index_.next() : it->first_seq);
    } while (it != groups.end() && it->epoch == run.file->epoch &&
             it->offset == run.groups.back().offset + run.groups.back().length &&
             run.bytes() + it->length <= FileScan::kWindow);
    return run;
}

// Visits what [from, to) has in the run; answers the number after the last one visited.
Result<std::uint64_t> Writer::visit_run(
    const Run& run, base::Bytes bytes, std::uint64_t from, std::uint64_t to,
    const std::function<Result<void>(std::uint64_t, base::Bytes)>& visit) {
    const std::uint64_t start = run.groups.front().offset;
    Result<void> answer;
    for (std::size_t i = 0; i < run.groups.size() && from < to; ++i) {
        const GroupRef& group = run.groups[i];
        const base::Bytes here = bytes.subspan(group.offset - start, group.length);
        const std::uint64_t end = std::min(to, run.ends[i]);
        const auto header = parse_group_header(here, run.file->seed, group.offset);
        const bool valid =
            header && header->padded() == group.length &&
            parse_group(*header, here, run.file->seed, group.offset, [&](const Record& record) {
                if (answer && record.seq == from && from < end) {
                    answer = visit(record.seq, record.payload);
                    ++from;
                }
            });
        TRY(std::move(answer));
        if (!valid || from < end) {
            return fail(Code::kCorrupt, fmt::format("damaged at offset {}", group.offset));
        }
    }
    return from;
}

runtime::Task<Result<void>> Writer::read(
    std::uint64_t from, std::uint64_t to,
    std::function<Result<void>(std::uint64_t, base::Bytes)> visit) {
    base::Buffer buffer;
    while (from < to) {
        if (from < index_.first() || to > index_.next()) {
            co_return fail(Code::kNotFound, fmt::format("the log holds records {} to {}",
                                                        index_.first(), index_.next()));
        }
        const Run run = next_run(from);
        if (buffer.capacity() < run.bytes()) {
            buffer = base::Buffer(run.bytes());
        }
        buffer.resize(run.bytes());
        auto read = co_await run.file->file->read(run.groups.front().offset, buffer.writable());
        CO_TRY_ASSIGN(const std::size_t got, read);
        auto after = got < run.bytes()
                         ? fail(Code::kCorrupt,
                                fmt::format("ends at offset {}", run.groups.front().offset + got))
                         : visit_run(run, buffer.bytes(), from, to, visit);
        if (!after && after.error().code == Code::kCorrupt) {
            if (from < index_.first()) {
                continue;  // its file was recycled meanwhile
            }
            co_return fail(std::move(after).error(),
                           fmt::format("{}/{}", dir_, file_name(run.file->epoch)));
        }
        CO_TRY_ASSIGN(from, after);
    }
    co_return Result<void>{};
}

}  // namespace hamster::wal
