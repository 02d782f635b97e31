// The last resort when most voters are lost for good: a replica that is not running becomes the
// only voter of its group. What only the lost ones knew is gone.
#pragma once

#include <map>
#include <string>

#include "meta/group.h"
#include "raft/core.h"

namespace hamster::meta {

// What a replica that is not running knows, store and log together.
struct Standing {
    raft::Members members;
    std::map<base::NodeId, proto::Node> nodes;
    base::LogIndex last;
};

// Changes nothing that opening the group would not. Errors as open_group()'s.
runtime::Task<Result<Standing>> inspect_group(runtime::World* control, std::string dir,
                                              GroupOptions options, base::Metrics* metrics);

// From its next start on, options.self votes alone, and the nodes in `lost` are removed, whatever
// lies on them. Durable when it returns; a crash before leaves all of it or nothing. kInvalid when
// options.self does not vote today.
runtime::Task<Result<void>> become_lone_voter(runtime::World* control, std::string dir,
                                              GroupOptions options, std::set<base::NodeId> lost,
                                              base::Metrics* metrics);

}  // namespace hamster::meta
