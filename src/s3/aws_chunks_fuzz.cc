// The framing of aws-chunked and of chunked bodies. The first byte chooses which.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "s3/aws_chunks.h"
#include "s3/transfer_chunks.h"

using namespace hamster::s3;

namespace {

// Drives a machine over the input as a body reader does.
std::uint64_t run(auto& machine, std::string_view text, auto&& took) {
    std::uint64_t payload = 0;
    while (!text.empty() && !machine.is_done()) {
        if (machine.payload_left() == 0) {
            const auto used = machine.framing(text);
            if (!used) return 0;
            if (*used > text.size()) __builtin_trap();
            text.remove_prefix(*used);
            continue;
        }
        const auto n =
            static_cast<std::size_t>(std::min<std::uint64_t>(machine.payload_left(), text.size()));
        took(text.substr(0, n));
        payload += n;
        text.remove_prefix(n);
    }
    return machine.is_done() ? payload : 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 4 == 0) {
        TransferChunks machine;
        run(machine, text, [&](std::string_view d) { machine.took_payload(d.size()); });
        return 0;
    }
    PayloadPlan plan;
    plan.mode = data[0] % 4 == 1   ? PayloadMode::kSigned
                : data[0] % 4 == 2 ? PayloadMode::kSignedTrailer
                                   : PayloadMode::kUnsignedTrailer;
    plan.length = data[0] / 4;
    plan.trailers = {"x-amz-checksum-crc32"};
    AwsChunks machine(plan);
    const std::uint64_t payload = run(machine, text, [&](std::string_view d) {
        machine.took_payload(hamster::base::as_bytes(d));
    });
    if (machine.is_done() && payload != *plan.length) __builtin_trap();
    return 0;
}
