// One simulated S3 client: real HTTP and SigV4 over one connection, which it keeps while it can.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/world.h"
#include "s3/sigv4.h"

namespace hamster::simulation {

using runtime::Task;

enum class BodyMode {
    kUnsigned,      // UNSIGNED-PAYLOAD
    kSigned,        // its SHA-256 is signed
    kTrailer,       // STREAMING-UNSIGNED-PAYLOAD-TRAILER with a CRC32 behind the body
    kSignedChunks,  // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
    kWrongTrailer,  // as kTrailer, but the checksum is wrong: must be refused
    kWrongHash,     // as kSigned, but the hash is wrong: must be refused
};

struct S3Request {
    std::string method = "GET";
    std::string bucket;
    std::string key;
    std::vector<std::pair<std::string, std::string>> query;    // an empty value: valueless
    std::vector<std::pair<std::string, std::string>> headers;  // names lower case
    std::string body;
    BodyMode mode = BodyMode::kUnsigned;
    bool expect_continue = false;
    std::optional<std::uint64_t> abort_after;      // body bytes, then the connection is reset
    std::optional<std::uint64_t> hang_up_reading;  // reply bytes, then the connection is reset
    runtime::Micros read_pause{0};  // a slow reader sleeps so long before each read of the body
};

struct S3Reply {
    int status = 0;                                            // 0: no (whole) answer
    std::vector<std::pair<std::string, std::string>> headers;  // names lower case
    std::string body;
    bool sent = false;   // some of the request may have reached the server
    bool clean = false;  // no fault was under way: an error is not excused
    [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
    [[nodiscard]] std::string header(std::string_view name) const;
    [[nodiscard]] std::string code() const;  // of the error document
};

class S3Client {
  public:
    // `server_offset_ms`: how wrong the server's clock is; the client signs by it.
    S3Client(runtime::World* world, std::string address, const std::int64_t* server_offset_ms)
        : world_(world), address_(std::move(address)), server_offset_ms_(server_offset_ms) {}

    Task<S3Reply> call(S3Request request);
    // How long it waits for a connection, and for an answer.
    void set_patience(runtime::Micros patience) { patience_ = patience; }
    [[nodiscard]] bool is_connected() const { return stream_ != nullptr; }
    void disconnect() {
        stream_.reset();
        received_.clear();
    }

  private:
    // The bytes of a request: its head, and its body as it goes over the wire.
    struct Wire {
        std::string head;
        std::string body;
    };
    [[nodiscard]] Wire encode(const S3Request& request) const;
    Task<bool> connect();
    Task<bool> send(std::string bytes, std::optional<std::uint64_t> abort_after);
    Task<bool> receive();  // more bytes into received_
    Task<S3Reply> read_reply(std::string method, std::optional<std::uint64_t> hang_up,
                             runtime::Micros pause);

    runtime::World* world_;
    std::string address_;
    const std::int64_t* server_offset_ms_;
    runtime::Micros patience_ = std::chrono::seconds(120);
    std::unique_ptr<runtime::Stream> stream_;
    std::string received_;
};

// The text of the first element of that name, entities decoded; empty when there is none.
std::string xml_text(std::string_view xml, std::string_view name);
// The content of each element of that name.
std::vector<std::string> xml_elements(std::string_view xml, std::string_view name);

inline constexpr std::string_view kAccessKey = "simulated-root";
inline constexpr std::string_view kSecretKey = "simulated-root-secret";

}  // namespace hamster::simulation
