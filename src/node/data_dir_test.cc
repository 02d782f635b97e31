#include "node/data_dir.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "runtime/sim/simulator.h"

namespace hamster::node {
namespace {

using runtime::Task;
using runtime::sim::Simulator;

Identity golden_identity() {
    Identity identity;
    for (std::size_t i = 0; i < 16; ++i) {
        identity.cluster.raw[i] = static_cast<std::byte>(i);
        identity.node.raw[i] = static_cast<std::byte>(16 + i);
    }
    identity.created_ms = 1795358630123;
    return identity;
}

TEST(Format, IdentitySurvivesARoundTrip) {
    const std::string text = format_identity(golden_identity());
    EXPECT_TRUE(
        text.starts_with("hamster data directory\nformat: 1\n"
                         "cluster: 000102030405060708090a0b0c0d0e0f\n"
                         "node: 101112131415161718191a1b1c1d1e1f\n"
                         "created: 2026-11-22T14:43:50.123Z\n"
                         "checksum: "));
    const auto parsed = parse_identity(text);
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(*parsed, golden_identity());
}

TEST(Format, EveryFlippedBitIsSeen) {
    const std::string text = format_identity(golden_identity());
    for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
        std::string damaged = text;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        EXPECT_FALSE(parse_identity(damaged).has_value()) << bit;
    }
    for (std::size_t length = 0; length < text.size(); ++length) {
        EXPECT_FALSE(parse_identity(text.substr(0, length)).has_value()) << length;
    }
}

template <class T>
struct Slot {
    std::optional<Result<T>> value;
};

Task<void> claim(runtime::World* world, Slot<Identity>* out) {
    out->value.emplace(co_await claim_data_dir(&world->disk));
}
Task<void> begin(runtime::World* world, Slot<Identity>* out) {
    out->value.emplace(co_await begin_init(world));
}
Task<void> write(runtime::World* world, std::string path, std::string content) {
    auto written = co_await runtime::write_file(&world->disk, std::move(path), std::move(content));
    EXPECT_TRUE(written.has_value());
}

class DataDir : public ::testing::Test {
  protected:
    Result<Identity> ask(Task<void> (*what)(runtime::World*, Slot<Identity>*)) {
        Slot<Identity> slot;
        EXPECT_TRUE(sim_.run_on(machine_, what(&world_, &slot)));
        return std::move(*slot.value);
    }
    void put(std::string path, std::string content) {
        EXPECT_TRUE(sim_.run_on(machine_, write(&world_, std::move(path), std::move(content))));
    }
    Simulator sim_{1};
    runtime::sim::Machine& machine_ = sim_.machine("a");
    runtime::World& world_ = machine_.boot();
};

TEST_F(DataDir, AnEmptyOneIsToBeInitialised) {
    const auto claimed = ask(claim);
    ASSERT_FALSE(claimed.has_value());
    EXPECT_NE(claimed.error().context.find("hamster init"), std::string::npos);
}

TEST_F(DataDir, AForeignOneIsLeftAlone) {
    put("letters.txt", "mine");
    const auto begun = ask(begin);
    ASSERT_FALSE(begun.has_value());
    EXPECT_NE(begun.error().context.find("not empty"), std::string::npos);
    const auto claimed = ask(claim);
    EXPECT_EQ(claimed.error().code, Code::kInvalid);
}

TEST_F(DataDir, AnInterruptedInitKeepsItsIdentity) {
    const auto first = ask(begin);
    ASSERT_TRUE(first.has_value());
    const auto claimed = ask(claim);
    EXPECT_NE(claimed.error().context.find("interrupted"), std::string::npos);
    machine_.crash([] {});
    runtime::World& again = machine_.boot();
    Slot<Identity> slot;
    EXPECT_TRUE(sim_.run_on(machine_, begin(&again, &slot)));
    ASSERT_TRUE(slot.value->has_value());
    EXPECT_EQ(**slot.value, *first);
}

TEST_F(DataDir, ANewerFormatIsRefused) {
    std::string text = format_identity(golden_identity());
    text.replace(text.find("format: 1"), 9, "format: 2");
    put(std::string(kFormatFile), text);
    EXPECT_EQ(ask(claim).error().code, Code::kCorrupt);  // the checksum comes first
}

TEST_F(DataDir, OneThatLostItsStoresIsRefused) {
    put(std::string(kFormatFile), format_identity(golden_identity()));
    const auto claimed = ask(claim);
    ASSERT_FALSE(claimed.has_value());
    EXPECT_NE(claimed.error().context.find("missing"), std::string::npos);
}

}  // namespace
}  // namespace hamster::node
