#include "shards/window.h"

#include <algorithm>

#include "base/assert.h"

namespace hamster::shards {

Window::Window(runtime::File* file, std::uint32_t segment, std::uint64_t epoch, std::uint64_t from,
               std::uint64_t to)
    : file_(file), segment_(segment), epoch_(epoch), at_(from), to_(to) {
    HAMSTER_ASSERT(from >= kSegmentStart && from % 8 == 0, from);
}

runtime::Task<Result<void>> Window::load() {
    start_ = at_ / base::kBlock * base::kBlock;
    const std::uint64_t want = std::min<std::uint64_t>(kWindowBytes, to_ - start_);
    if (buffer_.capacity() == 0) buffer_ = base::Buffer(kWindowBytes);
    buffer_.resize(want);
    auto got = co_await file_->read(start_, buffer_.writable());
    CO_TRY_ASSIGN(const std::size_t size, got);
    buffer_.resize(size);
    last_ = size < want || start_ + want >= to_;
    co_return Result<void>();
}

runtime::Task<Result<std::optional<ScanRecord>>> Window::next() {
    while (at_ < to_) {
        const bool inside = at_ >= start_ && at_ < start_ + buffer_.size();
        if (!inside) {
            if (last_) break;
            auto loaded = co_await load();
            CO_TRY(loaded);
            if (at_ >= start_ + buffer_.size()) break;
        }
        const ScanStep step = scan_step(buffer_.bytes(), start_, at_, last_, segment_, epoch_);
        if (const auto* record = std::get_if<ScanRecord>(&step)) {
            at_ = record->next;
            co_return std::optional<ScanRecord>(*record);
        }
        if (const auto* skip = std::get_if<ScanSkip>(&step)) {
            at_ = skip->next;
            continue;
        }
        auto loaded = co_await load();
        CO_TRY(loaded);
    }
    co_return std::optional<ScanRecord>();
}

}  // namespace hamster::shards
