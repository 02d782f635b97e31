// For tests: several simulated nodes over one group, with a layout, and a network between them that
// does what a test wants.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/partitions.h"
#include "meta/testing.h"
#include "objects/sim_node.h"

namespace hamster::objects::testing {

// Node 1 founds the cluster and has the group.
inline base::NodeId node_id(std::uint64_t number) {
    return meta::testing::as_id<base::NodeId>(meta::testing::node_id(number));
}

struct Traffic {
    base::NodeId from;
    base::NodeId to;
    RemoteMethod what;
};

struct FakeNetwork {
    std::map<base::NodeId, SimNode*> nodes;
    std::map<RemoteMethod, int> calls;
    std::map<base::NodeId, int> reads;  // by who was asked
    int keeps = 0;                      // that name blobs
    std::set<base::NodeId> down;        // do not answer
    std::set<base::NodeId> doubted;     // are believed to be down, until they answer
    std::set<base::NodeId> hopeful;     // doubt nobody until a call of theirs fails
    std::function<runtime::Micros(const Traffic&)> delay;         // before the request
    std::function<std::optional<Error>(const Traffic&)> trouble;  // instead of the answer
    std::function<std::optional<Error>(const Traffic&, const std::string&)> instead;  // of the node
    std::function<void(const Traffic&, std::string&)> tamper_request;
    std::function<void(const Traffic&, std::string&)> tamper;  // with the answer

    void forget() {
        down.clear();
        doubted.clear();
        hopeful.clear();
        delay = nullptr;
        trouble = nullptr;
        instead = nullptr;
        tamper_request = nullptr;
        tamper = nullptr;
    }
    void take_down(std::uint64_t number) {
        down.insert(node_id(number));
        doubted.insert(node_id(number));
    }
};

class FakeRemote final : public Remote {
  public:
    FakeRemote(FakeNetwork* network, base::NodeId self) : network_(network), self_(self) {}
    [[nodiscard]] std::vector<base::NodeId> others() const override {
        std::vector<base::NodeId> others;
        for (const auto& [id, node] : network_->nodes) {
            if (id != self_) others.push_back(id);
        }
        return others;
    }
    [[nodiscard]] bool is_up(base::NodeId node) const override {
        return network_->hopeful.contains(self_) || !network_->doubted.contains(node);
    }
    Task<Result<std::string>> call(base::NodeId to, RemoteMethod what,
                                   std::string payload) override {
        const Traffic traffic{self_, to, what};
        ++network_->calls[what];
        if (what == RemoteMethod::kReadSlice) ++network_->reads[to];
        if (what == RemoteMethod::kKeep && !payload.empty()) ++network_->keeps;
        SimNode* const here = network_->nodes.at(self_);
        if (network_->delay) {
            const runtime::Micros delay = network_->delay(traffic);
            co_await here->world->clock.sleep(delay);
        }
        const auto found = network_->nodes.find(to);
        const bool is_gone = network_->down.contains(to) || network_->down.contains(self_);
        if (found == network_->nodes.end() || is_gone) {
            network_->hopeful.erase(self_);
            co_return fail(Code::kUnavailable, "nobody there");
        }
        if (network_->trouble) {
            const std::optional<Error> trouble = network_->trouble(traffic);
            if (trouble) co_return std::unexpected(*trouble);
        }
        if (network_->instead) {
            const std::optional<Error> said = network_->instead(traffic, payload);
            if (said && said->context.empty()) co_return std::string();
            if (said) co_return std::unexpected(*said);
        }
        if (network_->tamper_request) network_->tamper_request(traffic, payload);
        network_->doubted.erase(to);
        SimNode* const node = found->second;
        auto answer = co_await runtime::run_on(
            node->world->executor, node->objects->serve(self_, what, std::move(payload)));
        if (answer && network_->tamper) network_->tamper(traffic, *answer);
        co_return answer;
    }

  private:
    FakeNetwork* network_;
    base::NodeId self_;
};

struct SimCluster {
    FakeNetwork network;
    std::vector<std::unique_ptr<FakeRemote>> remotes;
    std::vector<std::unique_ptr<SimNode>> nodes;
    std::vector<runtime::sim::Machine*> machines;

    // By number, from 1.
    [[nodiscard]] SimNode* node(std::uint64_t number) const { return nodes[number - 1].get(); }
    [[nodiscard]] runtime::sim::Machine* machine(std::uint64_t number) const {
        return machines[number - 1];
    }
    [[nodiscard]] std::uint64_t number_of(const base::NodeId& id) const {
        for (std::uint64_t number = 1; number <= nodes.size(); ++number) {
            if (node_id(number) == id) return number;
        }
        return 0;
    }
    Task<void> sleep_ms(std::uint64_t ms) {
        co_await node(1)->world->clock.sleep(runtime::Micros(static_cast<std::int64_t>(ms * 1000)));
    }
    Task<proto::Answer::Status> propose(proto::Command command) {
        auto answer = co_await node(1)->group->propose(std::move(command));
        EXPECT_TRUE(answer.has_value());
        co_return answer ? answer->status() : proto::Answer::INVALID_REQUEST;
    }
    // Makes all nodes members.
    Task<void> found() {
        const auto founded = co_await propose(meta::testing::found_trust());
        EXPECT_EQ(founded, proto::Answer::OK);
        const std::uint64_t expires_ms = node(1)->group->stamp_now() + 3'600'000;
        for (std::uint64_t number = 2; number <= nodes.size(); ++number) {
            const auto told = co_await propose(meta::testing::put_token(number, expires_ms));
            EXPECT_EQ(told, proto::Answer::OK);
            const auto admitted =
                co_await propose(meta::testing::admit_node(number, meta::testing::node(number)));
            EXPECT_EQ(admitted, proto::Answer::OK);
        }
    }
    // The next layout: these nodes, begun in each partition with another one.
    Task<void> lay(std::uint32_t k, std::uint32_t m, std::vector<std::uint64_t> numbers) {
        auto table = placement::Table::of_width(k + m);
        for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
            for (std::uint8_t slot = 0; slot < k + m; ++slot) {
                const std::uint64_t number = numbers[(partition + slot) % numbers.size()];
                table.set({partition, slot}, node_id(number));
            }
        }
        co_await lay_table(k, m, std::move(table));
    }
    Task<void> lay_table(std::uint32_t k, std::uint32_t m, placement::Table table) {
        auto viewed = co_await node(1)->group->view();
        const std::uint64_t version = viewed->layout()->version();
        const auto laid = co_await propose(meta::testing::set_layout(version, k, m, table));
        EXPECT_EQ(laid, proto::Answer::OK);
        co_await sleep_ms(1500);  // until every node has seen it
    }
    [[nodiscard]] std::uint64_t shards() const {
        std::uint64_t shards = 0;
        for (const auto& one : nodes) shards += one->shards->stats().shards;
        return shards;
    }
    [[nodiscard]] std::uint64_t metric(const std::string& name) const {
        std::uint64_t sum = 0;
        for (const auto& one : nodes) {
            const std::string text = one->metrics.render();
            const std::size_t at = text.find("\n" + name + " ");
            EXPECT_NE(at, std::string::npos) << name;
            if (at != std::string::npos) sum += std::stoull(text.substr(at + name.size() + 2));
        }
        return sum;
    }
};

// What a node does runs on that node's loop.
inline Task<Result<void>> put_on(SimNode* node, std::string key, std::uint64_t seed,
                                 std::uint64_t size) {
    auto put =
        co_await runtime::run_on(node->world->executor, node->put(std::move(key), seed, size));
    co_return put;
}
inline Task<Result<StoredBody>> store_on(SimNode* node, std::uint64_t seed, std::uint64_t size) {
    auto stored = co_await runtime::run_on(node->world->executor, node->store(seed, size, size));
    co_return stored;
}
inline Task<Result<std::string>> get_on(SimNode* node, std::string key,
                                        std::optional<ByteRange> range = std::nullopt) {
    auto text = co_await runtime::run_on(node->world->executor, node->get(std::move(key), range));
    co_return text;
}
inline Task<void> reconcile_on(SimNode* node) {
    co_await runtime::run_on(node->world->executor, node->objects->reconcile_once());
}
inline Task<void> erase_on(SimNode* node, std::string key) {
    auto erased = co_await runtime::run_on(node->world->executor, node->erase(std::move(key)));
    EXPECT_TRUE(erased.has_value());
}

using Body = Task<void> (*)(SimCluster* cluster);

struct SceneOptions {
    std::size_t nodes = 2;
    std::uint64_t seed = 1;
    std::uint64_t grace_ms = kGraceMs;
    std::uint64_t body_memory_bytes = 256ULL << 20;
    std::uint64_t reconcile_interval_ms = 1'000'000'000;  // rounds happen when a test asks
    std::uint64_t scrub_period_ms = 7ULL * 24 * 3600 * 1000;
};

// A node of the scene.
inline SimNode* add_node(SimCluster* cluster, const SceneOptions& scene, runtime::World* world) {
    const base::NodeId id = node_id(cluster->nodes.size() + 1);
    cluster->remotes.push_back(std::make_unique<FakeRemote>(&cluster->network, id));
    Options options;
    options.gc_grace_ms = scene.grace_ms;
    options.orphan_grace_ms = scene.grace_ms;
    options.reconcile_interval_ms = scene.reconcile_interval_ms;
    options.scrub_period_ms = scene.scrub_period_ms;
    options.body_memory_bytes = scene.body_memory_bytes;
    options.self = id;
    options.founder = node_id(1);
    options.remote = cluster->remotes.back().get();
    cluster->nodes.push_back(std::make_unique<SimNode>(world, options));
    SimNode* const node = cluster->nodes.back().get();
    cluster->network.nodes[id] = node;
    if (cluster->nodes.size() > 1) node->group = cluster->node(1)->group;
    return node;
}

// The body runs on the loop of node 1.
inline void run_scene(SceneOptions scene, Body body) {
    struct Steps {
        static Task<void> open(SimNode* node) {
            const bool opened = co_await node->open();
            EXPECT_TRUE(opened);
        }
        static Task<void> close(SimNode* node) { co_await node->close(); }
    };
    runtime::sim::Simulator sim(scene.seed);
    SimCluster cluster;
    std::vector<runtime::sim::Machine*>& machines = cluster.machines;
    for (std::size_t i = 0; i < scene.nodes; ++i) {
        machines.push_back(&sim.machine("n" + std::to_string(i + 1)));
        SimNode* const node = add_node(&cluster, scene, &machines[i]->boot());
        EXPECT_TRUE(sim.run_on(*machines[i], Steps::open(node)));
    }
    EXPECT_TRUE(sim.run_on(*machines[0], cluster.found()));
    EXPECT_TRUE(sim.run_on(*machines[0], body(&cluster)));
    cluster.network.forget();
    for (std::size_t i = scene.nodes; i-- > 0;) {
        EXPECT_TRUE(sim.run_on(*machines[i], Steps::close(cluster.nodes[i].get())));
    }
    for (std::size_t i = scene.nodes; i-- > 0;) {
        machines[i]->crash([&] { cluster.nodes[i].reset(); });
    }
}

}  // namespace hamster::objects::testing
