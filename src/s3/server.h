// The S3 front door of one I/O loop: accepts connections and runs a session for each.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "runtime/sync.h"
#include "runtime/world.h"
#include "s3/frontend.h"

namespace hamster::s3 {

class Session;

class Server {
  public:
    // Everything pointed to must outlive the server. `dispatch` is ops::handler_of, but in tests.
    Server(Context* context, CredentialSource* credentials, Dispatch dispatch,
           ServerOptions options);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    // Begins to accept. Call once, on the loop of the context.
    void start(std::unique_ptr<runtime::Listener> listener);
    // Serves one connection that came another way (tests).
    void serve(std::unique_ptr<runtime::Stream> stream);
    // Stops accepting, closes idle connections, lets running requests finish for up to `limit`,
    // then cuts what is left. Call once; nothing may follow but destruction.
    runtime::Task<void> drain(runtime::Micros limit);
    [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }

  private:
    static runtime::Task<void> accept_loop(Server* server);
    static runtime::Task<void> run_session(Server* server, std::unique_ptr<runtime::Stream> stream);

    Context* context_;
    Authenticator authenticator_;
    RequestMetrics metrics_;
    ReplyHead reply_head_;
    Frontend frontend_;
    std::unique_ptr<runtime::Listener> listener_;
    std::map<std::uint64_t, Session*> sessions_;  // by arrival
    std::uint64_t arrivals_ = 0;
    bool draining_ = false;
    runtime::Gate gate_;
};

}  // namespace hamster::s3
