// The layout in the control API: its part of the status, and what `hamster drain`, `undrain`,
// `optimize` and `set-profile` ask for. Bodies are JSON objects; nodes are members.
//
//   POST /v1/cluster/drain    {"node": NODE, "agreed": BOOL}   a "question" comes back, and nothing
//                             has been done, when it costs something and nobody agreed
//   POST /v1/cluster/undrain  {"node": NODE}
//   POST /v1/cluster/optimize {"do": "start", "look" or "stop"}  what is left to be stored anew
//   POST /v1/cluster/profile  {"profile": "4+2" or "auto"}
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cluster/layout_keeper.h"
#include "proto/cluster.pb.h"
#include "runtime/task.h"

namespace hamster::admin {

boost::json::object to_json(const proto::LayoutStatus& layout);
// Whether the body has a field of this name that is true.
bool is_true(const boost::json::object& body, std::string_view name);

// `keeper` outlives the tasks; `name` is the node's, for the answer.
runtime::Task<Result<std::string>> drain(cluster::LayoutKeeper* keeper, base::NodeId node,
                                         std::string name, boost::json::object body);
runtime::Task<Result<std::string>> undrain(cluster::LayoutKeeper* keeper, base::NodeId node,
                                           std::string name);
runtime::Task<Result<std::string>> optimize(cluster::LayoutKeeper* keeper,
                                            boost::json::object body);
runtime::Task<Result<std::string>> set_profile(cluster::LayoutKeeper* keeper,
                                               boost::json::object body);

}  // namespace hamster::admin
