// Which request comes next. A phase is a ticket counter that all clients of all loops draw from;
// everything else belongs to the client that draws.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench_options.h"
#include "cli/bench_request.h"
#include "runtime/prng.h"

namespace hamster::cli::bench {

enum class Phase : std::uint8_t { kPrepare, kMeasure, kClean };

// What one client remembers between its requests.
struct Client {
    explicit Client(std::uint64_t number_of_it) : number(number_of_it), prng(number_of_it + 1) {}
    std::uint64_t number;
    runtime::Prng prng;
    std::vector<std::uint64_t> own;  // mixed: objects it has put and may delete
    std::string continuation;        // list: where the next page starts; encoded
    bool listed = false;             // list: it has asked for a page before
};

// Any loop.
class Plan {
  public:
    // To measure: the objects that exist are [0, end). Otherwise [first, end) are made or removed.
    Plan(const Options* options, Phase phase, std::uint64_t first, std::uint64_t end);

    // nullopt: the phase has nothing more to do.
    std::optional<Request> next(Client* client);
    // What a listing answered; sets where the client goes on. The number of keys in it.
    std::uint64_t take_listing(Client* client, std::string_view xml) const;
    // Objects [0, this) may exist now.
    [[nodiscard]] std::uint64_t objects_end() const;

    // Keys that one request of the clean-up deletes: the limit of DeleteObjects.
    static constexpr std::uint64_t kDeleteBatch = 1000;

  private:
    Request on_object(Op op, std::uint64_t object) const;
    Request mixed(Client* client);
    Request listing(Client* client) const;
    Request delete_many(std::uint64_t first) const;
    Request measured(Client* client, std::uint64_t ticket);

    const Options* options_;
    Phase phase_;
    std::uint64_t first_;
    std::uint64_t objects_;      // their end
    std::uint64_t tickets_ = 0;  // how many there are
    std::atomic<std::uint64_t> drawn_ = 0;
    std::atomic<std::uint64_t> added_ = 0;  // objects that mixed has put beyond the prepared ones
};

std::string key_of(const Options& options, std::uint64_t object);

}  // namespace hamster::cli::bench
