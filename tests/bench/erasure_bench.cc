// Erasure coding of 4+2 with slices of 256 KiB: each kernel beside ISA-L. No kernel's time depends
// on what the bytes are.
//   ninja -C build/release hamster-erasure-bench && build/release/hamster-erasure-bench
#include <benchmark/benchmark.h>
#include <isa-l/erasure_code.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "erasure/codec.h"
#include "erasure/matrix.h"

namespace hamster {
namespace {

using erasure::Codec;
using erasure::Kernel;

constexpr erasure::Profile kProfile{4, 2};
constexpr std::size_t kSliceBytes = 256 << 10;
// Two data slices are lost: the worst that 4+2 survives.
const erasure::Slots kLost{0, 1};
const erasure::Slots kLeft{2, 3, 4, 5};

// The slices of one stripe.
class Stripe {
  public:
    Stripe() {
        for (std::uint32_t slot = 0; slot < kProfile.width(); ++slot) {
            slices_.emplace_back(kSliceBytes);
            slices_.back().resize(kSliceBytes);
            std::ranges::fill(slices_.back().writable(), std::byte{0x5A});
            read_[slot] = slices_.back().data();
            write_[slot] = slices_.back().data();
            isal_[slot] = reinterpret_cast<std::uint8_t*>(slices_.back().data());
        }
    }
    [[nodiscard]] const auto& read() const { return read_; }
    [[nodiscard]] const auto& write() const { return write_; }
    // From `first`, in slot order and around.
    [[nodiscard]] auto isal(std::uint32_t first) const {
        auto around = isal_;
        for (std::uint32_t i = 0; i < kProfile.width(); ++i) {
            around[i] = isal_[(first + i) % kProfile.width()];
        }
        return around;
    }

  private:
    std::vector<base::Buffer> slices_;
    std::array<const std::byte*, 6> read_{};
    std::array<std::byte*, 6> write_{};
    std::array<std::uint8_t*, 6> isal_{};
};

// Bytes of the body, per second.
void count_bytes(benchmark::State& state) {
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(kSliceBytes * kProfile.k));
}

void encode(benchmark::State& state, Kernel kernel) {
    const Codec codec(kProfile, kernel);
    const Stripe stripe;
    for (auto _ : state) {
        codec.encode(std::span(stripe.read()).first(kProfile.k),
                     std::span(stripe.write()).last(kProfile.m), kSliceBytes);
        benchmark::ClobberMemory();
    }
    count_bytes(state);
}

void reconstruct(benchmark::State& state, Kernel kernel) {
    const Codec codec(kProfile, kernel);
    const auto plan = codec.plan(kLeft, kLost);
    const Stripe stripe;
    for (auto _ : state) {
        plan->run(stripe.read(), stripe.write(), kSliceBytes);
        benchmark::ClobberMemory();
    }
    count_bytes(state);
}

// ISA-L on the slices from `first` on, k sources and then m results. Its tables are made before.
void isal(benchmark::State& state, erasure::Matrix rows, std::uint32_t first) {
    std::vector<std::uint8_t> elements;
    for (std::uint32_t o = 0; o < kProfile.m; ++o) {
        for (std::uint32_t i = 0; i < kProfile.k; ++i) elements.push_back(rows.at(o, i));
    }
    std::vector<std::uint8_t> tables(32 * elements.size());
    ec_init_tables(kProfile.k, kProfile.m, elements.data(), tables.data());
    const Stripe stripe;
    auto slices = stripe.isal(first);
    for (auto _ : state) {
        ec_encode_data(kSliceBytes, kProfile.k, kProfile.m, tables.data(), slices.data(),
                       slices.data() + kProfile.k);
        benchmark::ClobberMemory();
    }
    count_bytes(state);
}

erasure::Matrix rows_of(std::vector<std::uint32_t> slots) {
    return erasure::generator(kProfile.k, kProfile.m).select(slots);
}

// Named erasure/encode/KERNEL and erasure/reconstruct/KERNEL. tests/bench/run.py reads them, and
// from the context which kernel the product takes.
const bool kRegistered = [] {
    benchmark::RegisterBenchmark("erasure/encode/isa-l", isal, rows_of({4, 5}), 0U);
    benchmark::RegisterBenchmark("erasure/reconstruct/isa-l", isal,
                                 rows_of({2, 3, 4, 5}).inverse().select(kLost.list()), 2U);
    for (const Kernel kernel : erasure::kKernels) {
        if (!erasure::is_supported(kernel)) continue;
        const std::string name(to_string(kernel));
        benchmark::RegisterBenchmark(("erasure/encode/" + name).c_str(), encode, kernel);
        benchmark::RegisterBenchmark(("erasure/reconstruct/" + name).c_str(), reconstruct, kernel);
    }
    benchmark::AddCustomContext("kernel", std::string(to_string(erasure::best_kernel())));
    return true;
}();

}  // namespace
}  // namespace hamster

BENCHMARK_MAIN();
