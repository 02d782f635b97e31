#include "cli/layout_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "cli/json_fields.h"

namespace hamster::cli {

namespace json = boost::json;

namespace {

constexpr std::uint64_t kBarCells = 30;

std::string count_text(std::uint64_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string describe(const json::object& profile) {
    return fmt::format("{}: {} % of the capacity is usable; objects survive the loss of {}",
                       text_of(profile, "profile"), number_of(profile, "usable_percent"),
                       text_of(profile, "survives"));
}

const json::object* object_in(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    return value == nullptr ? nullptr : value->if_object();
}

std::string small_of(const std::string& profile) {
    const std::size_t plus = profile.find('+');
    return plus == std::string::npos ? profile : "1" + profile.substr(plus);
}

// Blobs that have the geometry of another profile; garbage among them.
std::string stored_text(const json::object& layout) {
    const json::value* stored = layout.if_contains("stored");
    if (stored == nullptr || !stored->is_array()) return {};
    const std::string profile = text_of(layout, "profile");
    std::string out;
    for (const json::value& value : stored->get_array()) {
        const json::object* geometry = value.if_object();
        if (geometry == nullptr) continue;
        const std::string its = text_of(*geometry, "profile");
        if (its == profile || its == small_of(profile)) continue;
        out += fmt::format("{}{} as {}", out.empty() ? "" : ", ",
                           bytes_text(number_of(*geometry, "bytes")), its);
    }
    return out;
}

std::string reencode_text(const json::object& reencode) {
    std::string out =
        fmt::format("Objects are being stored anew as {}", text_of(reencode, "profile"));
    if (is_known(reencode, "bytes_left")) {
        out += ": " + progress_text(number_of(reencode, "bytes_at_start"),
                                    number_of(reencode, "bytes_left"));
    }
    return out + "\n";
}

}  // namespace

std::string progress_text(std::uint64_t at_start, std::uint64_t left) {
    const std::uint64_t all = std::max(at_start, left);
    const double part = all == 0 ? 1 : static_cast<double>(all - left) / static_cast<double>(all);
    const auto cells = static_cast<std::size_t>(part * kBarCells);
    return fmt::format("[{}{}] {} %, {} left", std::string(cells, '#'),
                       std::string(kBarCells - cells, '.'), static_cast<int>(part * 100),
                       bytes_text(left));
}

std::string repair_text(const json::object& member) {
    const json::object* repair = object_in(member, "repair");
    if (repair == nullptr) return {};
    std::uint64_t shards = 0;
    std::uint64_t bytes = 0;
    for (const std::string_view kind : {"missing", "moving", "damaged"}) {
        if (const json::object* backlog = object_in(*repair, kind)) {
            shards += number_of(*backlog, "shards");
            bytes += number_of(*backlog, "bytes");
        }
    }
    std::string out;
    if (const auto lost = number_of(*repair, "beyond_repair"); lost > 0) {
        out = count_text(lost, "shard") + " BEYOND REPAIR";
    }
    if (shards > 0) {
        out += fmt::format("{}restores {}, {}", out.empty() ? "" : "; ",
                           count_text(shards, "shard"), bytes_text(bytes));
        const auto left = number_of(*repair, "seconds_left");
        if (left > 0) out += ", about " + duration_text(left);
    }
    return out;
}

std::string leaving_text(const json::object& member) {
    if (!bool_of(member, "leaving")) return {};
    const std::uint64_t slots = number_of(member, "slots");
    const std::uint64_t owed = number_of(member, "slots_owed");
    const std::uint64_t blobs = number_of(member, "blobs");
    if (slots > 0) {
        return fmt::format("keeps {} until others can take them", count_text(slots, "slot"));
    }
    if (owed > 0) return count_text(owed, "slot") + " left to copy";
    if (blobs > 0) return count_text(blobs, "blob") + " left to copy";
    return fmt::format("empty: `hamster remove {}`", text_of(member, "node"));
}

std::string layout_text(const json::object& layout, bool has_zones) {
    std::string out =
        fmt::format("Layout {}, profile {}", number_of(layout, "version"), describe(layout));
    if (!text_of(layout, "pinned").empty()) out += " (chosen)";
    out += "\n";
    if (const json::object* tolerates = object_in(layout, "tolerates")) {
        out += fmt::format("As it is now, new objects survive the loss of {} or {}",
                           count_text(number_of(*tolerates, "nodes"), "node"),
                           count_text(number_of(*tolerates, "hosts"), "host"));
        if (has_zones) out += " or " + count_text(number_of(*tolerates, "zones"), "zone");
        out += "\n";
    }
    if (const auto moving = number_of(layout, "slots_moving"); moving > 0) {
        out += fmt::format("Shards are being moved: {} to complete\n", count_text(moving, "slot"));
    }
    if (bool_of(layout, "degraded")) out += "Some objects lack shards, which are being rebuilt\n";
    const json::object* reencode = object_in(layout, "reencode");
    if (reencode != nullptr) out += reencode_text(*reencode);
    const std::string others = stored_text(layout);
    if (!others.empty() && reencode == nullptr) {
        out += fmt::format("Older objects: {}; `hamster optimize` stores them anew\n", others);
    }
    if (const auto hindrance = text_of(layout, "hindrance"); !hindrance.empty()) {
        out += fmt::format("Waiting: {}\n", hindrance);
    }
    return out;
}

std::string question_text(const json::object& answer) {
    const json::object* question = object_in(answer, "question");
    if (question == nullptr) return {};
    const json::object* now = object_in(*question, "now");
    const json::object* then = object_in(*question, "then");
    const std::string node = text_of(answer, "node");
    std::string out = fmt::format("Without {}, objects have {}.\n", node,
                                  count_text(number_of(answer, "nodes_left"), "node"));
    if (now != nullptr) out += "  now   " + describe(*now) + "\n";
    if (then != nullptr) out += "  then  " + describe(*then) + "\n";
    if (const auto bytes = number_of(*question, "bytes_to_store_anew"); bytes > 0) {
        out += fmt::format("{} are stored anew for that before {} gives its shards away.\n",
                           bytes_text(bytes), node);
    }
    return out + fmt::format("Drain {}? [y/N] ", node);
}

std::string loss_text(const json::object& answer) {
    const json::object* question = object_in(answer, "question");
    if (question == nullptr) return {};
    const std::string node = text_of(answer, "node");
    const std::uint64_t blobs = number_of(*question, "blobs");
    std::string what = count_text(number_of(*question, "slots"), "slot");
    if (blobs > 0) what += fmt::format(" and {} that lie nowhere else", count_text(blobs, "blob"));
    return fmt::format(
        "{0} does not answer, and what lies on it is not complete elsewhere: {1}.\n"
        "- It is given up. Objects of which the other nodes have too few shards are lost for good: "
        "they answer\n  errors until they are deleted or written again.\n"
        "- If its disk can be saved, or its process started, stop here and do that.\n"
        "Remove {0}, and what only it has? [y/N] ",
        node, what);
}

}  // namespace hamster::cli
