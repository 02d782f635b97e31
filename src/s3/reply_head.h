// The head of a reply as it goes onto the wire. One per I/O loop: the date is made once a second.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "s3/reply.h"

namespace hamster::s3 {

struct ReplyFraming {
    std::uint64_t now_ms = 0;
    std::string_view request_id;
    bool close = false;           // Connection: close
    bool keep_alive_1_0 = false;  // HTTP/1.0 client that asked to keep the connection
};

// Statuses that never have a body (RFC 9110).
inline bool is_bodyless(int status) { return status == 204 || status == 304 || status < 200; }

class ReplyHead {
  public:
    // Ends with the empty line. Control characters in values become spaces: no value can split
    // the reply.
    std::string write(const Reply& reply, const ReplyFraming& framing);

  private:
    std::uint64_t second_ = 0;
    std::string date_;
};

}  // namespace hamster::s3
