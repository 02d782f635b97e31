// What restores shards is not part of this build: whoever asks for it is told so.
#include <utility>

#include "base/log.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Task;

namespace {

const Error kNotYet{Code::kUnsupported, "this node restores no shards"};

}  // namespace

Task<Result<void>> ServiceImpl::restore_shard(BlobPlace, base::Slot) {
    co_return std::unexpected(kNotYet);
}

Task<Result<std::string>> ServiceImpl::serve_pull(std::string payload) {
    CO_TRY_ASSIGN(const PullOrder order, decode_pull(payload));
    auto restored = co_await restore_shard(order.blob, order.slot);
    CO_TRY(restored);
    co_return std::string();
}

Task<Result<std::string>> ServiceImpl::serve_remove(std::string) {
    co_return std::unexpected(kNotYet);
}

void ServiceImpl::note_suspect(const shards::ShardId& shard) {
    counters_.missing_slices.add();
    LOG_ERROR("objects", "blob {} slot {} is damaged or missing here", shard.blob.hex(),
              shard.slot.value);
}

}  // namespace hamster::objects
