// What every operation is given besides its request. One per I/O loop; nothing in it changes while
// requests run.
#pragma once

#include <memory>
#include <string>

#include "base/metrics.h"
#include "objects/service.h"
#include "runtime/world.h"
#include "s3/body.h"
#include "s3/reply.h"
#include "s3/request.h"

namespace hamster::s3 {

struct Settings {
    std::string region = "us-east-1";
    std::string domain;  // virtual-hosted style under this name; empty: path style only
    bool access_log = false;
};

struct Context {
    runtime::World* world;  // of this loop
    objects::Service* objects;
    const Settings* settings;
    base::Metrics* metrics;
};

// Every handler: parse, authorize, plan (pure), perform, reply. `body` is never null (it may be
// empty). Parameters outlive the task.
using Handler = runtime::Task<S3Result<Reply>> (*)(Context* context, const VerifiedRequest* request,
                                                   RequestBody* body);

}  // namespace hamster::s3
