// A small HTTP/1.1 server for operators: the admin address and the control socket. One request per
// connection; head, body, time and number of connections are bounded. One loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::admin {

inline constexpr std::size_t kMaxConnections = 64;
inline constexpr std::size_t kMaxBodyBytes = 64 * 1024;
// From accept to the last byte of the answer.
inline constexpr runtime::Micros kConnectionDeadline = std::chrono::seconds(30);

struct HttpRequest {
    std::string method;
    std::string path;  // without the query
    std::string body;
};

struct HttpAnswer {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

class HttpHandler {
  public:
    virtual ~HttpHandler() = default;
    virtual runtime::Task<HttpAnswer> handle(HttpRequest request) = 0;
};

class HttpServer {
  public:
    HttpServer(runtime::World* world, HttpHandler* handler) : world_(world), handler_(handler) {}
    // Serves `listener` in the background until stop().
    void start(std::unique_ptr<runtime::Listener> listener);
    // Closes the listener, gives answers under way a moment, then cuts.
    runtime::Task<void> stop();

  private:
    runtime::Task<void> accept_loop();
    runtime::Task<void> serve_one(std::unique_ptr<runtime::Stream> stream, std::uint64_t number);
    runtime::Task<HttpAnswer> answer_to(runtime::Stream* stream, bool* is_head);

    runtime::World* world_;
    HttpHandler* handler_;
    std::unique_ptr<runtime::Listener> listener_;
    std::map<std::uint64_t, runtime::Stream*> open_;  // by order of arrival
    std::uint64_t accepted_ = 0;
    bool stopping_ = false;
    runtime::Gate gate_;
};

// The bytes of an answer.
std::string render_answer(const HttpAnswer& answer, bool is_head);

}  // namespace hamster::admin
