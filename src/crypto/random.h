// Where keys, nonces and secrets come from. Product code takes a KeySource, so that a simulated
// node is reproducible; only the composition root names a concrete one.
#pragma once

#include "base/bytes.h"
#include "crypto/key.h"
#include "runtime/world.h"

namespace hamster::crypto {

using base::MutableBytes;

// From the operating system's generator, through OpenSSL's. Aborts when there is no entropy: no
// caller could do better. Any thread.
void random_bytes(MutableBytes out);

class KeySource {
  public:
    virtual ~KeySource() = default;
    virtual void fill(MutableBytes out) = 0;
    Key256 key();
};

// Any thread.
class OsKeySource final : public KeySource {
  public:
    void fill(MutableBytes out) override { random_bytes(out); }
};

// Keys anybody with the seed can compute: for simulations and tests only. `random` must outlive
// it; one loop.
class PredictableKeySource final : public KeySource {
  public:
    explicit PredictableKeySource(runtime::Random* random) : random_(random) {}
    void fill(MutableBytes out) override { random_->fill(out); }

  private:
    runtime::Random* random_;
};

}  // namespace hamster::crypto
