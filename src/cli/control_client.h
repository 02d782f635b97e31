// Speaks with the running node over the control socket of its data directory.
#pragma once

#include <boost/json/object.hpp>
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

// The same for answers that are objects; a GET has no body.
Result<boost::json::object> ask_node(const std::string& data_dir, const std::string& method,
                                     const std::string& path, const boost::json::object& body);

// Says what went wrong; the exit code.
int report_failure(Console& console, const Error& error);

}  // namespace hamster::cli
