// The clients of a simulated cluster: each has one request at a time and asks any node. What they
// ask and are told becomes a history, which linearizability.h judges.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster_world.h"
#include "history.h"
#include "s3_client.h"

namespace hamster::simulation {

inline constexpr std::string_view kClusterBucket = "simulated";

// What the clients of one run share.
struct ClientStage {
    SimCluster* cluster = nullptr;
    runtime::World* world = nullptr;
    History history;
    std::map<std::string, Tag> tags;  // by ETag, of bodies
    bool stop = false;
    runtime::Micros patience{std::chrono::seconds(12)};
    runtime::Micros pace{std::chrono::milliseconds(300)};  // between two requests, at most
    std::uint64_t completed = 0;
    runtime::Micros slowest{0};  // of the checks after healing
};

class ClusterClient {
  public:
    ClusterClient(ClientStage* stage, int number);

    // Until it was made, or was there already.
    Task<void> make_bucket();
    Task<void> run(int operations);
    // A write and a read through one node, which must be answered within `limit`.
    Task<void> check_node(Member* member, runtime::Micros limit);
    // Every key through one node.
    Task<void> read_all(Member* member);

  private:
    // A request under way: its operation, and what is asked.
    struct Asked {
        History::Token token = 0;
        std::string key;
    };

    Task<void> one_operation();
    Task<bool> put(Member* member, std::string key);
    Task<bool> read(Member* member, std::string key, Kind kind);
    Task<void> remove(Member* member, std::string key);
    Task<void> list(Member* member);
    Task<S3Reply> call(Member* member, S3Request request, std::string_view what);
    S3Client& connection(Member* member);
    void settle_write(History::Token token, const S3Reply& reply, bool conditional);
    void settle_read(History::Token token, const std::string& key, Kind kind, const S3Reply& reply);
    void take_listed(const std::map<std::string, History::Token>& reads, const S3Reply& reply);
    [[nodiscard]] bool has_bodies(const std::string& key) const;
    [[nodiscard]] std::string body_of(const std::string& key, Tag tag) const;
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_.below(n); }
    [[nodiscard]] bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
    [[nodiscard]] Report& report() { return stage_->cluster->report(); }

    ClientStage* stage_;
    const int number_;
    runtime::Prng random_;
    std::map<std::string, std::unique_ptr<S3Client>> connections_;
    std::map<std::string, Tag> seen_;  // what the key held when last seen
};

}  // namespace hamster::simulation
