#include "objects/shard_write.h"

#include <utility>

#include "base/assert.h"

namespace hamster::objects {

using runtime::Task;

Task<Result<void>> ShardWrite::add(base::Buffer slice, bool is_last) {
    HAMSTER_ASSERT(!is_finished_);
    if (!writer_ && is_last && slice.size() <= kSmallBlobBytes) {
        HAMSTER_ASSERT(!slice.empty());
        auto put = co_await store_->put(id_, std::move(slice));
        is_finished_ = put.has_value();
        co_return put;
    }
    if (!writer_) {
        auto created = co_await store_->create(id_, expected_bytes_);
        CO_TRY_ASSIGN(writer_, created);
    }
    if (!slice.empty()) {
        auto appended = co_await writer_->append(std::move(slice));
        CO_TRY(appended);
    }
    if (is_last) {
        auto finished = co_await writer_->finish();
        CO_TRY(finished);
        is_finished_ = true;
        writer_.reset();
    }
    co_return Result<void>{};
}

}  // namespace hamster::objects
