#include "cli/layout_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>

namespace hamster::cli {
namespace {

namespace json = boost::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

json::object layout() {
    return {{"version", 7},
            {"profile", "4+2"},
            {"usable_percent", 67},
            {"survives", "any 2 nodes"},
            {"pinned", ""},
            {"tolerates", {{"nodes", 2}, {"hosts", 1}, {"zones", 0}}},
            {"slots_moving", 0},
            {"degraded", false},
            {"stored", json::array{json::object{{"profile", "1+2"}, {"blobs", 3}, {"bytes", 9}}}},
            {"reencode", nullptr},
            {"hindrance", ""}};
}

TEST(LayoutText, AtRest) {
    EXPECT_EQ(layout_text(layout(), true),
              "Layout 7, profile 4+2: 67 % of the capacity is usable; objects survive the loss of "
              "any 2 nodes\n"
              "As it is now, new objects survive the loss of 2 nodes or 1 host or 0 zones\n");
}

TEST(LayoutText, WhatIsUnderWay) {
    json::object some = layout();
    some["pinned"] = "4+2";
    some["slots_moving"] = 1;
    some["degraded"] = true;
    some["hindrance"] = "too few nodes";
    some["stored"].as_array().push_back(
        json::object{{"profile", "2+1"}, {"blobs", 3}, {"bytes", 2048}});
    const std::string text = layout_text(some, false);
    EXPECT_THAT(text, HasSubstr("any 2 nodes (chosen)\n"));
    EXPECT_THAT(text, HasSubstr("2 nodes or 1 host\n"));
    EXPECT_THAT(text, HasSubstr("being moved: 1 slot to complete\n"));
    EXPECT_THAT(text, HasSubstr("lack shards"));
    EXPECT_THAT(text, HasSubstr("Older objects: 2.0 KiB as 2+1; `hamster optimize`"));
    EXPECT_THAT(text, HasSubstr("Waiting: too few nodes\n"));
    some["reencode"] = json::object{
        {"profile", "4+2"}, {"bytes_at_start", 100}, {"blobs_left", 1}, {"bytes_left", 25}};
    EXPECT_THAT(layout_text(some, false),
                HasSubstr("stored anew as 4+2: [######################........]"
                          " 75 %, 25 B left\n"));
    EXPECT_THAT(layout_text(some, false), Not(HasSubstr("Older objects")));
    some["reencode"].as_object()["bytes_left"] = nullptr;
    EXPECT_THAT(layout_text(some, false), HasSubstr("stored anew as 4+2\n"));
}

TEST(LayoutText, ProgressHasAnEnd) {
    EXPECT_EQ(progress_text(0, 0), "[##############################] 100 %, 0 B left");
    EXPECT_EQ(progress_text(10, 20), "[..............................] 0 %, 20 B left");
}

TEST(LayoutText, WhatALeavingNodeStillHas) {
    json::object member{{"node", "n3"}, {"leaving", false}, {"slots", 5}};
    EXPECT_EQ(leaving_text(member), "");
    member["leaving"] = true;
    EXPECT_EQ(leaving_text(member), "keeps 5 slots until others can take them");
    member["slots"] = 0;
    member["slots_owed"] = 1;
    EXPECT_EQ(leaving_text(member), "1 slot left to copy");
    member["slots_owed"] = 0;
    EXPECT_EQ(leaving_text(member), "empty: `hamster remove n3`");
}

TEST(LayoutText, WhatIsToBeRestored) {
    json::object member{{"node", "n3"}, {"repair", nullptr}};
    EXPECT_EQ(repair_text(member), "");
    const json::object none{{"shards", 0}, {"bytes", 0}};
    json::object repair{{"missing", none}, {"moving", none}, {"damaged", none}};
    member["repair"] = repair;
    EXPECT_EQ(repair_text(member), "");
    repair["missing"] = json::object{{"shards", 2}, {"bytes", 1024}};
    repair["moving"] = json::object{{"shards", 1}, {"bytes", 1024}};
    repair["seconds_left"] = 90;
    member["repair"] = repair;
    EXPECT_EQ(repair_text(member), "restores 3 shards, 2.0 KiB, about 1 min 30 s");
    repair["beyond_repair"] = 1;
    member["repair"] = repair;
    EXPECT_THAT(repair_text(member), HasSubstr("1 shard BEYOND REPAIR; restores"));
}

TEST(LayoutText, TheQuestionShowsTheTrade) {
    const json::object now{{"profile", "2+1"}, {"usable_percent", 67}, {"survives", "any 1 node"}};
    const json::object then{{"profile", "1+1"}, {"usable_percent", 50}, {"survives", "any 1 node"}};
    const json::object answer{
        {"node", "n3"},
        {"nodes_left", 2},
        {"question", {{"now", now}, {"then", then}, {"bytes_to_store_anew", 1024}}}};
    EXPECT_EQ(
        question_text(answer),
        "Without n3, objects have 2 nodes.\n"
        "  now   2+1: 67 % of the capacity is usable; objects survive the loss of any 1 node\n"
        "  then  1+1: 50 % of the capacity is usable; objects survive the loss of any 1 node\n"
        "1.0 KiB are stored anew for that before n3 gives its shards away.\n"
        "Drain n3? [y/N] ");
}

TEST(LayoutText, TheQuestionSaysWhatIsGivenUp) {
    json::object answer{{"node", "n3"}, {"question", {{"slots", 1}, {"blobs", 0}}}};
    EXPECT_THAT(loss_text(answer), StartsWith("n3 does not answer, and what lies on it is not "
                                              "complete elsewhere: 1 slot.\n"));
    EXPECT_THAT(loss_text(answer), EndsWith("Remove n3, and what only it has? [y/N] "));
    answer["question"] = json::object{{"slots", 2}, {"blobs", 5}};
    EXPECT_THAT(loss_text(answer), HasSubstr("2 slots and 5 blobs that lie nowhere else.\n"));
}

}  // namespace
}  // namespace hamster::cli
