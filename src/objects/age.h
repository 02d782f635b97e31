// Ages in cluster time. Pure.
#pragma once

#include <cstdint>

namespace hamster::objects {

constexpr bool is_older(std::uint64_t now_ms, std::uint64_t then_ms, std::uint64_t age_ms) {
    return now_ms >= then_ms && now_ms - then_ms >= age_ms;
}

}  // namespace hamster::objects
