// Fields of a node's answers, for people.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace hamster::cli {

// "?" when there is none; JSON text when it is no string.
std::string text_of(const boost::json::object& object, std::string_view name);
std::uint64_t number_of(const boost::json::object& object, std::string_view name);
bool bool_of(const boost::json::object& object, std::string_view name);
bool is_known(const boost::json::object& object, std::string_view name);  // there, and not null
std::string bytes_text(std::uint64_t bytes);                              // 1.5 GiB
std::string duration_text(std::uint64_t seconds);                         // 3 h 12 min

}  // namespace hamster::cli
