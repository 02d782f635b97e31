// Speaks with the running node over the control socket of its data directory.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "base/result.h"
#include "cli/console.h"

namespace hamster::cli {

// unix:/absolute/path of the socket in a data directory.
std::string control_address(const std::string& data_dir);

// One request; `body` may be empty. kUnavailable: no node is running on that directory. Errors of
// the node keep their text.
Result<boost::json::value> call_node(const std::string& data_dir, const std::string& method,
                                     const std::string& path, const std::string& body);

}  // namespace hamster::cli
