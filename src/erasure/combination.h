// Linear combinations of slices, and the choice of the kernel that computes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "erasure/kernel.h"
#include "erasure/matrix.h"

namespace hamster::erasure {

// The same bytes come out of each; they differ in speed only.
enum class Kernel : std::uint8_t { kPortable, kAvx2, kGfni };

inline constexpr Kernel kKernels[] = {Kernel::kPortable, Kernel::kAvx2, Kernel::kGfni};

std::string_view to_string(Kernel kernel);
// Whether this build has it and this processor can run it.
bool is_supported(Kernel kernel);
// The fastest that is supported.
Kernel best_kernel();

// Rows of a matrix, ready to be applied to slices. Immutable: any thread, also several at once.
class Combination {
  public:
    // A row for each output, a column for each input: at most kMaxSlots of both, at least one
    // column. The kernel must be supported.
    Combination(const Matrix& rows, Kernel kernel);

    // out[o] = the sum over i of row o, column i times in[i]. All slices are `length` bytes long,
    // of any alignment; no output may overlap an input or another output.
    void apply(std::span<const std::byte* const> in, std::span<std::byte* const> out,
               std::size_t length) const;

  private:
    std::uint32_t inputs_;
    std::uint32_t outputs_;
    bool copies_;  // one input, and each output equals it
    CombineFn combine_;
    std::vector<Factor> factors_;  // row by row
};

}  // namespace hamster::erasure
