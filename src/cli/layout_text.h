// The layout for people, from what a node answers. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

namespace hamster::cli {

// Lines of `hamster status`. `has_zones`: some node names one.
std::string layout_text(const boost::json::object& layout, bool has_zones);
// What a member that is leaving has still to give away; empty for others.
std::string leaving_text(const boost::json::object& member);
// What the reconciler of a member has to restore; empty: nothing.
std::string repair_text(const boost::json::object& member);
// What people are asked before a drain that costs something; ends with the question.
std::string question_text(const boost::json::object& answer);
// What people are asked before a lost node is removed with what lies on it; ends with the question.
std::string loss_text(const boost::json::object& answer);
// "[#########...........] 45 %, 1.2 GiB left". Of `at_start` bytes `left` are to be done.
std::string progress_text(std::uint64_t at_start, std::uint64_t left);

}  // namespace hamster::cli
