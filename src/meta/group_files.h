// The files of a group, opened but not in use. Private to opening and recovering.
#pragma once

#include <memory>
#include <string>

#include "kv/store.h"
#include "meta/group.h"
#include "meta/places.h"
#include "raft/core.h"
#include "raft/log.h"

namespace hamster::meta {

struct GroupFiles {
    Place place;
    proto::Applied state;
    std::unique_ptr<kv::Store> store;
    std::unique_ptr<raft::Log> log;
};

runtime::Task<Result<GroupFiles>> open_files(runtime::World* control, std::string dir,
                                             GroupOptions options, base::Metrics* metrics);
// Who takes part as far as the store knows; the log may know more.
Result<raft::Members> members_in(const kv::Store& store, const GroupOptions& options);

}  // namespace hamster::meta
