#include "s3/action.h"

#include <array>
#include <cstddef>

#include "base/assert.h"

namespace hamster::s3 {

std::string_view to_string(Action action) {
    static constexpr std::array<std::string_view, kActionCount> kNames = {
#define X(name) #name,
        HAMSTER_S3_ACTIONS(X)
#undef X
    };
    const auto index = static_cast<std::size_t>(action);
    HAMSTER_ASSERT(index < kNames.size(), index);
    return kNames[index];
}

}  // namespace hamster::s3
