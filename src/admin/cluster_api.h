// The cluster in the control API: what `hamster status`, `token`, `can-stop`, `transfer-leadership`
// and `remove` ask for. Bodies are JSON objects; nodes are given by name or by id in hex.
//
//   POST /v1/cluster/token     {"ttl_ms": N}
//   POST /v1/cluster/can-stop  {"node": NODE}
//   POST /v1/cluster/transfer  {"node": NODE or ""}
//   POST /v1/cluster/remove    {"node": NODE, "lost": BOOL, "agreed": BOOL}  if lost: a "question"
//                              comes back, and nothing has been done, until somebody agreed
//   and those of layout_api.h
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cluster/cluster.h"
#include "runtime/task.h"

namespace hamster::admin {

// Members, roles and notes as the leader sees them; "error" instead when nobody leads.
runtime::Task<boost::json::object> cluster_status(cluster::Cluster* cluster);

bool is_cluster_change(std::string_view path);
runtime::Task<Result<std::string>> change_cluster(cluster::Cluster* cluster, std::string path,
                                                  boost::json::object body);

}  // namespace hamster::admin
