// What all sessions of one I/O loop share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/world.h"
#include "s3/authenticator.h"
#include "s3/context.h"
#include "s3/dispatch.h"
#include "s3/http_body.h"
#include "s3/reply_head.h"
#include "s3/request_metrics.h"

namespace hamster::s3 {

struct ServerOptions {
    // Of the whole node: all its loops count on the same gauges.
    std::int64_t max_connections = 10'000;
    std::int64_t max_requests = 1'024;  // executing at once; more are answered 503 SlowDown

    runtime::Micros idle = std::chrono::seconds(30);   // for the next request to begin
    runtime::Micros head = std::chrono::seconds(10);   // for its head to be complete, once begun
    runtime::Micros write = std::chrono::seconds(60);  // for each kWritePiece to be taken
    BodyDeadlines body;
    // A refused body: how long it may pause, and how long it may come in all.
    runtime::Micros linger_pause = std::chrono::seconds(5);
    runtime::Micros linger = std::chrono::seconds(30);
};

inline constexpr std::size_t kWritePiece = 256 * 1024;      // bytes
inline constexpr std::uint64_t kMaxDrainBytes = 64 * 1024;  // of an unread body, to keep on
// Of a refused body, read and dropped so that a client which sends all of it before it listens
// (no Expect: 100-continue) gets the answer and not a reset. More than the parts SDKs cut.
inline constexpr std::uint64_t kMaxLingerBytes = 64ULL << 20;

struct Frontend {
    Context* context;
    Authenticator* authenticator;
    Dispatch dispatch;
    RequestMetrics* metrics;
    ReplyHead* reply_head;
    ServerOptions options;
};

}  // namespace hamster::s3
