// Between the service and its reconciler.
#include <utility>

#include "objects/reconciler.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Task;

Task<bool> ServiceImpl::pause(std::uint64_t ms) { return reconciler_->site().pause(ms); }

Task<void> ServiceImpl::reconcile_once() {
    co_await runtime::run_on(control_->executor, reconciler_->round());
}

std::uint64_t ServiceImpl::scrub_now() { return reconciler_->scrub_now(); }

ReconcileReport ServiceImpl::reconcile_report() { return reconciler_->report(); }

Task<Result<void>> ServiceImpl::restore_shard(BlobPlace blob, base::Slot slot) {
    auto pull = reconciler_->pull(std::move(blob), slot);
    return runtime::run_on(control_->executor, std::move(pull));
}

void ServiceImpl::note_suspect(const shards::ShardId& shard) { reconciler_->note_suspect(shard); }

Task<Result<std::string>> ServiceImpl::serve_pull(std::string payload) {
    auto served = reconciler_->serve_pull(std::move(payload));
    return runtime::run_on(control_->executor, std::move(served));
}

Task<Result<std::string>> ServiceImpl::serve_remove(std::string payload) {
    auto served = reconciler_->serve_remove(std::move(payload));
    return runtime::run_on(control_->executor, std::move(served));
}

}  // namespace hamster::objects
