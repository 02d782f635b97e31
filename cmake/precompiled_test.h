// The same for tests; see hamster_precompile_test() in hamster.cmake.
#pragma once

#include <gtest/gtest.h>

#include "precompiled.h"
