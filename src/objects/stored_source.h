// A stored body as one that comes in: to store it anew in another geometry.
#pragma once

#include <cstdint>

#include "objects/service.h"

namespace hamster::objects {

class StoredSource final : public BodySource {
  public:
    // `size`: of the body, bytes. The reader outlives this.
    StoredSource(BodyReader* reader, std::uint64_t size) : reader_(reader), left_(size) {}

    // kCorrupt when the body ends before `size`.
    runtime::Task<Result<std::size_t>> read(base::MutableBytes out) override;

  private:
    BodyReader* reader_;
    std::uint64_t left_;
    base::Buffer piece_;
    std::size_t at_ = 0;
};

}  // namespace hamster::objects
