// Connections between nodes in the simulated world.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/sim/fault_scene.h"

namespace hamster::runtime::sim {
namespace {

using Certificates = std::vector<std::string>;

std::shared_ptr<const NodeTls> node(const std::string& name) {
    return std::make_shared<const NodeTls>(
        NodeTls{.certificate = name, .key = "key of " + name, .ca = "ca"});
}

const std::shared_ptr<const NodeTls> kNewcomer = std::make_shared<const NodeTls>();

void expect_meeting(const std::shared_ptr<const NodeTls>& client, const Certificates& shown) {
    FaultScene scene;
    Outcome connected;
    Outcome shaken;
    scene.listen(node("server"));
    scene.connect(&connected, scene.sim.now() + seconds(5), client);
    scene.settle();
    ASSERT_NE(scene.a->stream, nullptr);
    EXPECT_FALSE(connected.done);  // the server has not looked at it yet
    EXPECT_TRUE(scene.a->stream->peer_certificates().empty());
    scene.a->start(shake(scene.a.get(), &shaken));
    scene.settle();
    ASSERT_TRUE(connected.done && !connected.failed);
    EXPECT_TRUE(shaken.done && !shaken.failed);
    EXPECT_TRUE(scene.a->stream->is_tls());
    EXPECT_TRUE(scene.b->stream->is_tls());
    EXPECT_EQ(scene.a->stream->peer_certificates(), shown);
    EXPECT_EQ(scene.b->stream->peer_certificates(), (Certificates{"server", "ca"}));
    scene.sim.run_for(seconds(10));  // the deadline of the connect is none of the stream
    Outcome read;
    Outcome sent;
    scene.a->start(read_all_into(scene.a.get(), &read));
    scene.b->start(write_from(scene.b.get(), "hello", &sent));
    scene.settle();
    EXPECT_EQ(read.text, "hello");
}

TEST(SimNodes, EachSideSeesWhatTheOtherShows) {
    expect_meeting(node("client"), {"client", "ca"});
    expect_meeting(kNewcomer, {});
    const auto alone =
        std::make_shared<const NodeTls>(NodeTls{.certificate = "client", .key = "key", .ca = ""});
    expect_meeting(alone, {"client"});
}

TEST(SimNodes, FirstReadOfTheServerShakesHands) {
    FaultScene scene;
    Outcome connected;
    Outcome read;
    scene.listen(node("server"));
    scene.connect(&connected, Time::never(), node("client"));
    scene.settle();
    scene.a->start(read_into(scene.a.get(), &read));
    scene.settle();
    EXPECT_TRUE(connected.done && !connected.failed);
    EXPECT_FALSE(read.done);
}

TEST(SimNodes, PlainStreamsShowNothing) {
    FaultScene scene;
    scene.meet();
    Outcome shaken;
    scene.a->start(shake(scene.a.get(), &shaken));
    scene.settle();
    EXPECT_TRUE(shaken.done && !shaken.failed);
    EXPECT_FALSE(scene.a->stream->is_tls());
    EXPECT_TRUE(scene.a->stream->peer_certificates().empty());
}

void expect_unlike(const std::shared_ptr<const NodeTls>& server,
                   const std::shared_ptr<const NodeTls>& client) {
    FaultScene scene;
    Outcome connected;
    scene.listen(server);
    scene.connect(&connected, Time::never(), client);
    scene.settle();
    EXPECT_EQ(connected.failed, Code::kClosed);
    ASSERT_NE(scene.a->stream, nullptr);
    Outcome shaken;
    Outcome read;
    scene.a->start(shake(scene.a.get(), &shaken));
    scene.a->start(read_into(scene.a.get(), &read));
    scene.settle();
    EXPECT_EQ(shaken.failed, Code::kClosed);
    EXPECT_EQ(read.failed, Code::kClosed);
}

TEST(SimNodes, PlainAndSecureDoNotMix) {
    expect_unlike(node("server"), nullptr);
    expect_unlike(nullptr, node("client"));
}

TEST(SimNodes, ListeningTakesACertificate) {
    FaultScene scene;
    auto refused = scene.a->world->network.listen_nodes("10.0.0.1:7000", kNewcomer);
    EXPECT_EQ(refused.error().code, Code::kInvalid);
}

TEST(SimNodes, HandshakesEndAtTheirDeadlineOrWithThePeer) {
    FaultScene scene;
    Outcome late;
    scene.listen(node("server"));
    const Time deadline = scene.sim.now() + seconds(1);
    scene.connect(&late, deadline, node("client"));
    scene.sim.run_for(seconds(2));
    EXPECT_EQ(late.failed, Code::kTimeout);
    EXPECT_EQ(late.at, deadline);
    Outcome left;
    scene.connect(&left, Time::never(), node("client"));
    scene.settle();
    scene.a->listener.reset();  // with what it had not accepted
    scene.settle();
    EXPECT_EQ(left.failed, Code::kClosed);
}

TEST(SimNodes, HandshakesWaitForCutsAndPauses) {
    FaultScene scene;
    Outcome connected;
    Outcome shaken;
    scene.listen(node("server"));
    scene.connect(&connected, Time::never(), node("client"));
    scene.settle();
    const LinkFaults cut{.cut = true, .extra_latency = Micros(0), .reset_ppm = 0};
    scene.sim.set_link("a", "b", cut);
    scene.a->start(shake(scene.a.get(), &shaken));
    scene.settle();
    EXPECT_TRUE(shaken.done && !shaken.failed);
    EXPECT_FALSE(connected.done);
    scene.sim.heal_links();
    scene.settle();
    EXPECT_TRUE(connected.done && !connected.failed);
    Outcome paused;
    scene.a->machine->pause();
    scene.connect(&paused, scene.sim.now() + seconds(1), node("client"));
    scene.sim.run_for(seconds(2));
    EXPECT_EQ(paused.failed, Code::kTimeout);
}

TEST(SimNodes, ACrashEndsTheHandshake) {
    FaultScene scene;
    Outcome connected;
    scene.listen(node("server"));
    scene.connect(&connected, Time::never(), node("client"));
    scene.settle();
    FaultScene::crash(scene.a);
    scene.settle();
    EXPECT_EQ(connected.failed, Code::kClosed);
}

}  // namespace
}  // namespace hamster::runtime::sim
