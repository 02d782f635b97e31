#include <gtest/gtest.h>

#include <string>

#include "runtime/sim/fault_scene.h"

namespace hamster::runtime::sim {
namespace {

constexpr LinkFaults kCut{.cut = true, .extra_latency = Micros(0), .reset_ppm = 0};

std::string numbers(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += std::to_string(i) + ",";
    return text;
}

TEST(SimLinks, ACutHoldsOneDirectionWhileTheOtherFlows) {
    FaultScene scene;
    scene.meet();
    scene.sim.set_link("b", "a", kCut);
    Outcome held;
    Outcome sent;
    scene.a->start(read_all_into(scene.a.get(), &held));
    const std::string text = numbers(20'000);
    scene.b->start(write_from(scene.b.get(), text, &sent));
    Outcome flowed;
    Outcome answered;
    scene.b->start(read_into(scene.b.get(), &flowed));
    scene.a->start(write_from(scene.a.get(), "x", &answered));
    scene.sim.run_for(std::chrono::hours(1));
    EXPECT_EQ(flowed.text, "x");
    EXPECT_TRUE(sent.done && !sent.failed);  // it fits what a connection holds
    EXPECT_EQ(held.text, "");
    scene.b->start(shut_down(scene.b.get()));
    scene.settle();
    EXPECT_FALSE(held.done);
    scene.sim.heal_links();
    EXPECT_EQ(held.text, "");
    scene.settle();
    EXPECT_TRUE(held.text == text) << held.text.size();
    EXPECT_TRUE(held.done && !held.failed);
}

TEST(SimLinks, WhatArrivedBeforeTheCutCanBeRead) {
    FaultScene scene;
    scene.meet();
    Outcome sent;
    scene.b->start(write_from(scene.b.get(), "early", &sent));
    scene.settle();
    scene.sim.set_link("b", "a", kCut);
    scene.b->start(write_from(scene.b.get(), "late", &sent));
    Outcome read;
    scene.a->start(read_all_into(scene.a.get(), &read));
    scene.settle();
    EXPECT_EQ(read.text, "early");
    // Cut again while it is cut changes nothing; another link does not matter.
    scene.sim.set_link("b", "a", kCut);
    scene.sim.set_link("a", "harness", kCut);
    scene.settle();
    scene.sim.set_link("b", "a", {});
    scene.settle();
    EXPECT_EQ(read.text, "earlylate");
}

TEST(SimLinks, WritersOverACutWaitForRoom) {
    FaultScene scene;
    scene.meet();
    scene.sim.set_link("b", "a", kCut);
    Outcome sent;
    Outcome read;
    const std::string text = numbers(100'000);
    scene.b->start(write_from(scene.b.get(), text, &sent));
    scene.a->start(read_all_into(scene.a.get(), &read));
    scene.settle();
    EXPECT_FALSE(sent.done);
    scene.sim.heal_links();
    scene.sim.run_for(seconds(10));
    EXPECT_TRUE(sent.done && !sent.failed);
    EXPECT_TRUE(read.text == text) << read.text.size();
}

TEST(SimLinks, NobodyLearnsOfACloseOverACut) {
    FaultScene scene;
    scene.meet();
    scene.sim.set_link("b", "a", kCut);
    scene.b->stream->close();
    Outcome read;
    Outcome sent;
    scene.a->start(read_into(scene.a.get(), &read));
    scene.a->start(write_from(scene.a.get(), "is anybody there?", &sent));
    scene.settle();
    EXPECT_FALSE(read.done);
    EXPECT_TRUE(sent.done && !sent.failed);
    scene.sim.heal_links();
    scene.settle();
    EXPECT_TRUE(read.done && !read.failed && read.text.empty());
    sent = {};
    scene.a->start(write_from(scene.a.get(), "again", &sent));
    scene.settle();
    EXPECT_EQ(sent.failed, Code::kClosed);
}

TEST(SimLinks, ACrashIsLearnedOfOnceTheLinkHeals) {
    FaultScene scene;
    scene.meet();
    Outcome sent;
    Outcome read;
    Outcome written;
    scene.sim.set_link("b", "a", kCut);
    scene.b->start(write_from(scene.b.get(), "never arrives", &sent));
    scene.a->start(read_all_into(scene.a.get(), &read));
    scene.settle();
    FaultScene::crash(scene.b);
    scene.sim.machine("b").boot();
    scene.a->start(write_from(scene.a.get(), numbers(200'000), &written));
    scene.sim.run_for(std::chrono::hours(1));
    EXPECT_FALSE(read.done || written.done);
    scene.sim.heal_links();
    scene.settle();
    EXPECT_EQ(read.failed, Code::kClosed);
    EXPECT_EQ(read.text, "");
    EXPECT_EQ(written.failed, Code::kClosed);
    scene.sim.machine("b").crash({});
}

TEST(SimLinks, ACrashIsLearnedOfOverTheDirectionThatIsWhole) {
    FaultScene scene;
    scene.meet();
    Outcome read;
    scene.sim.set_link("a", "b", kCut);
    scene.a->start(read_into(scene.a.get(), &read));
    FaultScene::crash(scene.b);
    scene.settle();
    EXPECT_EQ(read.failed, Code::kClosed);
}

// `from` -> `to` is cut for 10 s.
void connect_over_cut(const std::string& from, const std::string& to) {
    FaultScene scene;
    scene.listen(nullptr);
    scene.sim.set_link(from, to, kCut);
    const Time deadline = scene.sim.now() + seconds(3);
    Outcome late;
    Outcome patient;
    scene.connect(&late, deadline);
    scene.connect(&patient);
    scene.sim.run_for(seconds(10));
    EXPECT_EQ(late.failed, Code::kTimeout);
    EXPECT_EQ(late.at, deadline);
    EXPECT_FALSE(patient.done);
    EXPECT_EQ(scene.a->stream, nullptr);
    scene.sim.heal_links();
    scene.settle();
    EXPECT_TRUE(patient.done && !patient.failed);
    EXPECT_NE(scene.a->stream, nullptr);
}

TEST(SimLinks, ConnectWaitsForBothDirections) {
    connect_over_cut("a", "b");
    connect_over_cut("b", "a");
}

TEST(SimLinks, NoRefusalComesOverACut) {
    FaultScene scene;
    scene.listen(nullptr);
    FaultScene::crash(scene.a);  // nobody listens there any more
    scene.sim.set_link("a", "b", kCut);
    Outcome connected;
    scene.connect(&connected, scene.sim.now() + seconds(5));
    scene.settle();
    EXPECT_FALSE(connected.done);
    scene.sim.heal_links();
    scene.settle();
    EXPECT_EQ(connected.failed, Code::kUnavailable);
}

TEST(SimLinks, ExtraLatencyOfOneDirection) {
    FaultScene scene;
    scene.meet();
    const LinkFaults slow{.cut = false, .extra_latency = seconds(1), .reset_ppm = 0};
    scene.sim.set_link("b", "a", slow);
    const Time before = scene.sim.now();
    Outcome sent;
    Outcome slowly;
    Outcome fast;
    scene.a->start(read_into(scene.a.get(), &slowly));
    scene.b->start(read_into(scene.b.get(), &fast));
    scene.a->start(write_from(scene.a.get(), "there", &sent));
    scene.b->start(write_from(scene.b.get(), "and back", &sent));
    scene.sim.run_for(seconds(2));
    EXPECT_LT(fast.at, before + milliseconds(10));
    EXPECT_GT(slowly.at, before + seconds(1));
    EXPECT_LT(slowly.at, before + seconds(1) + milliseconds(10));
    EXPECT_FALSE(slowly.failed || fast.failed);
}

TEST(SimLinks, ResetsOfOneDirection) {
    FaultScene scene;
    scene.meet();
    const LinkFaults always{.cut = false, .extra_latency = Micros(0), .reset_ppm = 1'000'000};
    scene.sim.set_link("a", "b", always);
    Outcome other;
    scene.b->start(write_from(scene.b.get(), "b to a is fine", &other));
    scene.settle();
    EXPECT_TRUE(other.done && !other.failed);
    Outcome sent;
    scene.a->start(write_from(scene.a.get(), "x", &sent));
    scene.settle();
    EXPECT_EQ(sent.failed, Code::kClosed);
    scene.b->start(read_into(scene.b.get(), &other));
    scene.settle();
    EXPECT_EQ(other.failed, Code::kClosed);
}

TEST(SimLinks, ResetConnectionsResetsThoseOfTheTwoOnly) {
    FaultScene scene;
    scene.meet();
    Outcome read_a;
    Outcome read_b;
    scene.a->start(read_into(scene.a.get(), &read_a));
    scene.b->start(read_into(scene.b.get(), &read_b));
    scene.sim.reset_connections("a", "harness");
    scene.settle();
    EXPECT_FALSE(read_a.done || read_b.done);
    scene.sim.set_link("a", "b", kCut);
    scene.sim.reset_connections("b", "a");
    scene.settle();
    EXPECT_EQ(read_a.failed, Code::kClosed);
    EXPECT_EQ(read_b.failed, Code::kClosed);
}

std::uint64_t hash_of_storm(std::uint64_t seed) {
    FaultScene scene(seed);
    scene.meet();
    Outcome read;
    Outcome sent;
    const std::string text = numbers(200'000);
    scene.a->start(read_all_into(scene.a.get(), &read));
    scene.b->start(write_from(scene.b.get(), text, &sent));
    for (int i = 0; i < 50; ++i) {
        const auto micros = static_cast<std::int64_t>(scene.sim.random().below(3000));
        const LinkFaults drawn{.cut = scene.sim.random().below(2) == 0,
                               .extra_latency = Micros(micros),
                               .reset_ppm = 0};
        scene.sim.set_link(i % 2 == 0 ? "a" : "b", i % 2 == 0 ? "b" : "a", drawn);
        scene.sim.run_for(Micros(micros));
    }
    scene.sim.heal_links();
    scene.sim.run_for(seconds(10));
    EXPECT_TRUE(read.text == text) << seed << ": " << read.text.size();
    return scene.sim.trace_hash();
}

TEST(SimLinks, FaultsOfASeedRepeatAndLoseNothing) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        EXPECT_EQ(hash_of_storm(seed), hash_of_storm(seed));
    }
}

TEST(SimLinksDeathTest, NamesMustBeKnown) {
    EXPECT_DEATH(
        {
            Simulator sim(1);
            sim.set_link("harness", "nobody", kCut);
        },
        "nobody");
}

}  // namespace
}  // namespace hamster::runtime::sim
