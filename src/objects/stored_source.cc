#include "objects/stored_source.h"

#include <algorithm>
#include <cstring>

namespace hamster::objects {

runtime::Task<Result<std::size_t>> StoredSource::read(base::MutableBytes out) {
    std::size_t filled = 0;
    while (filled < out.size() && left_ > 0) {
        if (at_ == piece_.size()) {
            auto next = co_await reader_->next();
            CO_TRY_ASSIGN(piece_, next);
            at_ = 0;
            if (piece_.empty()) co_return fail(Code::kCorrupt, "a body ends too early");
        }
        const std::size_t n =
            std::min({out.size() - filled, piece_.size() - at_, static_cast<std::size_t>(left_)});
        std::memcpy(out.data() + filled, piece_.data() + at_, n);
        filled += n;
        at_ += n;
        left_ -= n;
    }
    co_return filled;
}

}  // namespace hamster::objects
