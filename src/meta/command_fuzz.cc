// Command decoding and apply on arbitrary bytes. The input is a list of commands, each behind its
// length (be16). Whatever they say: no crash, no store error, rows that add up.
#include <cstdlib>

#include "base/assert.h"
#include "base/encoding.h"
#include "kv/store.h"
#include "meta/apply.h"
#include "meta/keyspace.h"
#include "meta/testing_rules.h"
#include "runtime/sim/simulator.h"

namespace hamster::meta {
namespace {

constexpr std::uint64_t kStamp = 1'700'000'000'000;

runtime::Task<void> open(runtime::World* world, std::unique_ptr<kv::Store>* out) {
    auto store = co_await kv::open(world, "store", kv::Options{});
    HAMSTER_ASSERT(store.has_value());
    *out = std::move(*store);
}

void run(std::string_view input) {
    runtime::sim::Simulator sim(1);
    std::unique_ptr<kv::Store> store;
    sim.run(open(&sim.harness(), &store));
    std::uint64_t index = 0;
    Staging staging(*store);
    while (input.size() >= 2) {
        const std::size_t size =
            std::min<std::size_t>(base::get_be16(input.data()), input.size() - 2);
        auto command = decode_command(base::as_bytes(input.substr(2, size)));
        input.remove_prefix(2 + size);
        if (!command) continue;
        // The group sets these; an id of its own lets every command through to its body.
        if (command->request_id().empty()) {
            std::string number(8, '\0');
            base::put_be64(number, ++index);
            --index;
            const auto salt = *base::RequestId::from_bytes(number);
            command->set_request_id(std::string(mint_request_id(kStamp, salt).view()));
            command->set_stamp_ms(kStamp);
        }
        const auto answer = apply(staging, base::LogIndex{++index}, *command);
        HAMSTER_ASSERT(answer.has_value(), index);
    }
    HAMSTER_ASSERT(staging.write().has_value());
    const std::string flaw = testing::flaw_of_rows(*store);
    HAMSTER_ASSERT(flaw.empty(), flaw);
}

}  // namespace
}  // namespace hamster::meta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    hamster::meta::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
