// One client connection: requests in, replies out, one after the other. Lives on one loop.
// Whatever the client does - stall, stop, lie, hang up at any byte - ends in an error reply or a
// closed connection, and in nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "runtime/world.h"
#include "s3/body_verifier.h"
#include "s3/form_reader.h"
#include "s3/frontend.h"
#include "s3/http_body.h"
#include "s3/http_parser.h"

namespace hamster::s3 {

class Session {
  public:
    // `frontend` must outlive the session.
    Session(Frontend* frontend, std::unique_ptr<runtime::Stream> stream);

    // Until the connection is over. Call once.
    runtime::Task<void> run();
    // Ends after the request that is running; at once when there is none.
    void stop();
    // Ends now, whatever is running.
    void abort() { stream_->close(); }

  private:
    // What is known of the request being served.
    struct Exchange {
        runtime::Time began;
        std::string request_id;
        std::string method;
        std::string resource;  // path as sent
        unsigned http_minor = 1;
        bool keep_alive = false;
        std::optional<Action> action;
        std::string who;   // access key id and user
        std::string what;  // bucket/key, escaped
        std::uint64_t bytes_out = 0;
        [[nodiscard]] bool is_head() const { return method == "HEAD"; }
    };

    runtime::Task<std::optional<RequestHead>> read_head();
    runtime::Task<void> refuse_head(S3Error error);
    // False when the connection cannot be used further.
    runtime::Task<bool> serve(RequestHead head);
    runtime::Task<S3Result<Reply>> perform(Exchange* exchange, RequestHead head, HttpBody* http);
    runtime::Task<S3Result<Reply>> perform_signed(Exchange* exchange, RequestHead head,
                                                  HttpBody* http);
    runtime::Task<S3Result<Reply>> perform_form(Exchange* exchange, RequestHead head,
                                                HttpBody* http);
    runtime::Task<S3Result<Reply>> run_handler(Exchange* exchange, const VerifiedRequest* request,
                                               BodyVerifier* body);
    // False when the client is gone or the body could not be sent whole.
    runtime::Task<bool> send(Exchange* exchange, Reply reply, bool close);
    runtime::Task<bool> send_stream(Exchange* exchange, Reply* reply, bool close);
    runtime::Task<bool> write(Exchange* exchange, base::Bytes first, base::Bytes second);
    // Takes what is left of a refused body off the connection.
    runtime::Task<bool> drain(HttpBody* http);
    runtime::Task<void> linger();
    std::string head_of(const Exchange& exchange, const Reply& reply, bool close);
    void account(const Exchange& exchange, int status, std::uint64_t bytes_in);
    [[nodiscard]] runtime::World& world() const { return *frontend_->context->world; }

    Frontend* frontend_;
    std::unique_ptr<runtime::Stream> stream_;
    Received received_;
    bool idle_ = true;  // between requests
    bool stopping_ = false;
};

}  // namespace hamster::s3
