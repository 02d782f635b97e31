// What the clients do: each worker is one client with one request at a time, drawn from its own
// random stream. Every request is told to the model before it is sent, every answer after.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model.h"
#include "report.h"
#include "runtime/prng.h"
#include "s3_client.h"

namespace hamster::simulation {

inline constexpr std::string_view kBucket = "simulated";

// What the workers of one run share.
struct Stage {
    runtime::World* world = nullptr;
    std::string address;
    std::int64_t server_offset_ms = 0;
    Model* model = nullptr;
    Report* report = nullptr;
    std::vector<std::string> keys;
    // Sizes stay below; large ones are rare.
    std::uint64_t max_bytes = 700'000;
    bool two_part_uploads = false;  // 5 MiB and more: a few seeds only
    // Between the heal and the end every request must be answered, and soon (I10).
    bool healthy = false;
    // Bodies may be damaged beyond repair: a GET may fail, and only that.
    bool bodies_may_be_lost = false;
    // A fault is under way that may fail requests; and how many have begun so far.
    bool disturbed = false;
    std::uint64_t disturbances = 0;
    bool stop = false;  // no further requests
    // For the controller.
    std::uint64_t server_errors = 0;  // 500s since the node was opened
    std::uint64_t completed = 0;      // requests answered
};

class Worker {
  public:
    Worker(Stage* stage, std::uint64_t seed, int number);

    Task<void> run(int operations);
    // Once, before the workers: the bucket must be there for good.
    Task<void> make_bucket();
    // After the faults: every key by GET, the listing as a whole, each upload aborted.
    Task<void> verify_all();
    Task<void> abort_uploads();
    Task<void> delete_all();

  private:
    struct StoredPart {
        Piece piece;
        std::string etag;
    };
    struct Upload {
        std::string id;
        std::string key;
        VersionNumber version;
        std::map<int, StoredPart> parts;
        std::map<int, std::string> replaced;  // an ETag the part had before
        std::map<int, bool> doubtful;         // an upload of this part had no answer
        bool maybe_aborted = false;           // an abort had no answer
    };

    Task<void> one_operation();
    Task<void> put();
    Task<void> put_refused();
    Task<void> get();
    Task<void> get_range();
    Task<void> head();
    Task<void> remove();
    Task<void> remove_many();
    Task<void> copy();
    Task<void> tag();
    Task<void> get_tags();
    Task<void> list();
    Task<void> multipart();
    Task<bool> upload_part(Upload* upload, int number, std::uint64_t size);
    Task<void> complete(Upload upload);
    Task<void> check_parts(const Upload* upload);
    Task<void> read_key(std::string key, S3Request request);
    Task<bool> list_page(std::string prefix, std::string delimiter, std::string* after,
                         std::string* token, bool v2, int limit);

    Task<S3Reply> call(S3Request request, std::string_view what);
    void settle_write(OpId op, const S3Reply& reply, bool conditional);
    void check_body(const std::string& key, OpId op, const S3Request& request,
                    const S3Reply& reply);
    void check_listed(const std::string& prefix, const std::string& delimiter,
                      const std::string& after, const std::map<std::string, OpId>& reads,
                      const S3Reply& reply, std::string* last, bool* truncated);
    // True when an error answer is nothing to complain about now.
    bool excused(const S3Reply& reply, std::string_view what);
    [[nodiscard]] const std::string& pick_key();
    [[nodiscard]] std::uint64_t pick_size();
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_.below(n); }
    [[nodiscard]] bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
    S3Request to_key(std::string method, const std::string& key);
    void maybe_break(S3Request& request);
    // An ETag the key may have now, or had.
    std::string some_etag(const std::string& key);

    Stage* stage_;
    int number_;
    runtime::Prng random_;
    S3Client client_;
    std::uint64_t connected_at_ = 0;  // disturbances before this connection was made
    std::vector<Upload> open_uploads_;
};

}  // namespace hamster::simulation
