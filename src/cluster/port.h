// The cluster port: accepts connections of members and of newcomers, and finds out which it is.
// Control loop.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "cluster/admission.h"
#include "cluster/links.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::cluster {

class Port {
  public:
    // `links` and `admission` outlive it.
    Port(runtime::World* control, Links* links, Admission* admission)
        : control_(control), links_(links), admission_(admission) {}

    Result<void> open(const std::string& address);
    runtime::Task<void> stop();

  private:
    runtime::Task<void> accept_loop();
    runtime::Task<void> greet(rpc::StreamPtr stream);

    runtime::World* control_;
    Links* links_;
    Admission* admission_;
    std::unique_ptr<runtime::Listener> listener_;
    std::size_t greeting_ = 0;  // connections whose other end is not known yet
    std::size_t joining_ = 0;
    bool stopping_ = false;
    runtime::Gate gate_;
};

}  // namespace hamster::cluster
