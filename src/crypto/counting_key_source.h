// Keys and nonces that count: 40 41 42 ..., each byte the one before, plus one. For golden bytes in
// tests.
#pragma once

#include "crypto/random.h"

namespace hamster::crypto {

class CountingKeySource final : public KeySource {
  public:
    explicit CountingKeySource(unsigned first = 0x40) : next_(first) {}
    void fill(MutableBytes out) override {
        for (std::byte& b : out) b = static_cast<std::byte>(next_++);
    }

  private:
    unsigned next_;
};

}  // namespace hamster::crypto
