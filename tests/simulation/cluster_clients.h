// The clients of a simulated cluster: each has one request at a time and asks any node. What they
// ask and are told becomes a history, which linearizability.h judges.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster_bodies.h"
#include "cluster_world.h"
#include "history.h"
#include "s3_client.h"

namespace hamster::simulation {

inline constexpr std::string_view kClusterBucket = "simulated";
// Names what was written; a copy takes it along.
inline constexpr std::string_view kTagHeader = "x-amz-meta-tag";

// Of an ETag as it is sent.
std::string unquoted(const std::string& text);

// What the clients of one run share.
struct ClientStage {
    explicit ClientStage(SimCluster* c, runtime::World* w)
        : cluster(c), world(w), bodies(&c->plan()) {}
    SimCluster* cluster;
    runtime::World* world;
    History history;
    Bodies bodies;
    bool stop = false;
    runtime::Micros patience{std::chrono::seconds(12)};
    runtime::Micros pace{std::chrono::milliseconds(300)};  // between two requests, at most
    std::uint64_t completed = 0;
    runtime::Micros slowest{0};  // of the checks after healing
};

// Whether a node that is checked has to take what is written to it.
enum class Writes { kTaken, kMayBeRefused };

class ClusterClient {
  public:
    ClusterClient(ClientStage* stage, int number);

    // Until it was made, or was there already.
    Task<void> make_bucket();
    Task<void> run(int operations);
    // A write and a read through one node, which must be answered within `limit`.
    Task<void> check_node(Member* member, runtime::Micros limit, Writes writes);
    // Every key through one node, which must answer, or may fail to if `may_fail`.
    Task<void> read_all(Member* member, bool may_fail);

  private:
    // What a key held when last seen.
    struct Seen {
        Tag tag = kAbsent;
        std::string etag;
    };
    struct Upload {
        std::string key;
        std::string id;
        Tag tag = kAbsent;
        std::map<int, std::pair<Piece, std::string>> parts;  // piece and ETag by number
        bool is_doubtful = false;                            // a part had no answer
    };

    Task<void> one_operation();
    Task<bool> put(Member* member, std::string key);
    Task<bool> read(Member* member, std::string key, Kind kind);
    Task<void> read_range(Member* member, std::string key);
    Task<void> remove(Member* member, std::string key);
    Task<void> list(Member* member);
    // --- cluster_uploads.cc
    Task<void> copy(Member* member, std::string from, std::string to);
    Task<void> upload(Member* member, std::string key);
    Task<bool> put_part(Member* member, Upload* upload, int number);
    Task<bool> copy_part(Member* member, Upload* upload, int number, std::string from);
    void settle_part(Upload* upload, int number, Piece piece, const S3Reply& reply);
    Task<void> complete(Upload upload);
    Task<void> abort(Member* member, Upload upload);
    void settle_copy(History::Token read, History::Token write, Tag tag, const S3Reply& reply);

    Task<S3Reply> call(Member* member, S3Request request, std::string_view what);
    S3Client& connection(Member* member);
    S3Request to_key(std::string method, const std::string& key);
    History::Token begin(const std::string& key, Kind kind, Tag tag = kAbsent);
    History::Token begin(const std::string& key, Operation asked);
    // Writes of `tag` to `key` from now on are conditional, in some cases. What to ask for.
    std::string_view add_condition(const std::string& key, Operation* asked, S3Request* request);
    void settle_write(History::Token token, const S3Reply& reply, bool conditional);
    void settle_read(History::Token token, const std::string& key, Kind kind, const S3Reply& reply);
    void settle_range(History::Token token, const std::string& key, const S3Reply& reply);
    // The tag that an answer about a key names; kAbsent, and a violation, when it never was.
    Tag tag_of(const std::string& key, const S3Reply& reply);
    void check_bytes(const std::string& key, Tag tag, std::uint64_t offset, const S3Reply& reply);
    void take_listed(const std::map<std::string, History::Token>& reads, const S3Reply& reply);
    [[nodiscard]] bool has_bodies(const std::string& key) const;
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_.below(n); }
    [[nodiscard]] bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
    [[nodiscard]] Report& report() { return stage_->cluster->report(); }

    ClientStage* stage_;
    const int number_;
    runtime::Prng random_;
    std::map<std::string, std::unique_ptr<S3Client>> connections_;
    std::map<std::string, Seen> seen_;
    int last_status_ = 0;  // of a PUT
};

}  // namespace hamster::simulation
