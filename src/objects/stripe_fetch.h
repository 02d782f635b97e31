// One stripe on its way in. What is wanted of it are a few data slices; each is asked of the places
// of its slot. As soon as one fails, or is slow, others are fetched until any k of the stripe are
// at hand, from which it is rebuilt: parity takes its place. Of copies (k = 1) the nearest one is
// wanted. Every slice has been verified where it lies and on its way, its address included, so what
// comes out is right or an Error. On the loop that made it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "objects/budget.h"
#include "objects/extent.h"
#include "objects/watch.h"
#include "runtime/sync.h"

namespace hamster::objects {

class ServiceImpl;
struct LoopState;

// A slice that takes longer is asked for elsewhere as well, one way or another.
inline constexpr runtime::Micros kHedgeAfter = std::chrono::milliseconds(150);

// The part of a slice, in place.
base::Buffer cut(base::Buffer slice, SlicePart part);

class StripeFetch final : public Watched, public std::enable_shared_from_this<StripeFetch> {
  public:
    StripeFetch(ServiceImpl* service, LoopState* loop, StripeRead read);

    // What was asked for, in pieces of at most one slice; the reader's lease covers the data slices
    // that it touches. Once. kUnavailable: too few slices can be had now, but more may be there;
    // kCorrupt: too few are left. The context says why.
    runtime::Task<Result<std::vector<base::Buffer>>> run();

    void on_tick(runtime::Time now) override;

  private:
    enum class State : std::uint8_t { kUntried, kAsked, kSlow, kHere, kFailed };
    struct Part {
        State state = State::kUntried;
        base::Buffer slice;
        std::optional<Error> error;
        runtime::Time asked_at{};
    };

    [[nodiscard]] std::vector<base::NodeId> places_of(std::uint32_t slot) const;
    [[nodiscard]] bool is_likely(std::uint32_t slot) const;
    [[nodiscard]] std::optional<std::uint32_t> nearest() const;
    void start();
    runtime::Task<Result<void>> gather();
    runtime::Task<Result<void>> fetch_only();
    [[nodiscard]] bool is_complete() const;
    [[nodiscard]] std::uint32_t count(State state) const;
    [[nodiscard]] bool needs_others() const;
    [[nodiscard]] std::optional<std::uint32_t> next_untried() const;
    void ask_others();
    void ask(std::uint32_t slot);
    static runtime::Task<void> fetch(std::shared_ptr<StripeFetch> self, std::uint32_t slot);
    runtime::Task<Result<base::Buffer>> fetch_from(base::NodeId node, std::uint32_t slot);
    [[nodiscard]] Error failure() const;
    Result<void> rebuild();
    std::vector<base::Buffer> take_pieces();

    ServiceImpl* service_;
    LoopState* loop_;
    const StripeRead read_;
    const std::uint32_t length_;  // of each slice
    std::vector<SlicePart> pieces_;
    std::vector<std::uint32_t> wanted_;  // slots
    std::vector<Part> parts_;            // by slot
    Lease scratch_;                      // for slices that are not wanted themselves
    std::unique_ptr<Watch> watch_;
    bool is_over_ = false;
    runtime::Signal changed_;
};

}  // namespace hamster::objects
