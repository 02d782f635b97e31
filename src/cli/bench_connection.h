// One keep-alive connection of the load generator. One loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "cli/bench_options.h"
#include "cli/bench_reply.h"
#include "cli/bench_request.h"
#include "runtime/world.h"

namespace hamster::cli::bench {

struct Outcome {
    unsigned status = 0;
    std::string error;        // empty: all is well; else the S3 code, the status, or what broke
    std::uint64_t bytes = 0;  // of object content, either way
};

class Connection {
  public:
    // Everything must outlive the connection. `address`: ip:port.
    Connection(runtime::World* world, const Options* options, const Content* content,
               Signer* signer, std::string address);

    runtime::Task<Result<void>> connect();
    // Never fails: what went wrong is in the outcome, and the next call connects anew.
    runtime::Task<Outcome> exchange(const Request* request);
    // The body of the last reply, if it was kept: of listings and of errors.
    [[nodiscard]] const std::string& kept() const { return kept_; }
    void close() { stream_.reset(); }

  private:
    runtime::Task<Result<void>> attempt(const Request* request, Outcome* outcome);
    runtime::Task<Result<void>> send(const Request* request);
    runtime::Task<Result<ReplyHead>> read_head();
    runtime::Task<Result<void>> read_body(const Request* request, ReplyHead head, Outcome* outcome);
    runtime::Task<Result<std::size_t>> fill();
    Result<void> take(const Request& request, base::Bytes content, bool is_object,
                      Outcome* outcome);

    runtime::World* world_;
    const Options* options_;
    const Content* content_;
    Signer* signer_;
    std::string address_;
    std::unique_ptr<runtime::Stream> stream_;
    base::Buffer in_;
    std::size_t used_ = 0;  // of in_
    std::string head_;
    std::string kept_;
    bool answered_ = false;  // the reply to the request under way has begun
};

}  // namespace hamster::cli::bench
