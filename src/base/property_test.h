// Property tests with a fixed seed, so that every run tries the same cases. RC_PARAMS in the
// environment (for example "seed=7 max_success=100000") overrides it. Tests only.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <utility>

namespace hamster::base {

template <class Property>
void expect_property(Property property) {
    ::setenv("RC_PARAMS", "seed=20261122", 0);
    EXPECT_TRUE(rc::check(std::move(property)));
}

}  // namespace hamster::base
