#include "shards/core.h"

#include "base/log.h"

namespace hamster::shards {

void Core::poison(Segment* segment, const Error& error) {
    if (segment->poisoned) return;
    segment->poisoned = true;
    segment->sealed = true;
    meters.poisoned_segment();
    LOG_ERROR("shards", "segment {} is not written any more: {}", segment->id, error.context);
}

}  // namespace hamster::shards
