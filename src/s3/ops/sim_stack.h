// For tests: the operations over a whole node in the simulator, without HTTP and signatures.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "meta/replica.h"
#include "objects/service.h"
#include "runtime/sim/simulator.h"
#include "s3/address.h"
#include "s3/body_verifier.h"
#include "s3/ops/handlers.h"
#include "s3/route.h"
#include "shards/store.h"

namespace hamster::s3 {

// The only way round the authenticator.
struct TrustedRequest {
    static VerifiedRequest make(RequestHead head, Action action, Identity identity,
                                Address address) {
        VerifiedRequest request;
        request.head_ = std::move(head);
        request.action_ = action;
        request.identity_ = std::move(identity);
        request.bucket_ = std::move(address.bucket);
        request.key_ = std::move(address.key);
        request.request_id_ = "0123456789ABCDEF";
        return request;
    }
};

namespace ops::testing {

using runtime::Task;

class StringSource final : public ByteSource {
  public:
    explicit StringSource(std::string text) : text_(std::move(text)) {}
    Task<S3Result<std::size_t>> read_some(base::MutableBytes out) override {
        const std::size_t n = std::min(out.size(), text_.size() - at_);
        std::memcpy(out.data(), text_.data() + at_, n);
        at_ += n;
        co_return n;
    }

  private:
    std::string text_;
    std::size_t at_ = 0;
};

struct Stack {
    runtime::World* world = nullptr;
    base::Metrics metrics;
    Settings settings;
    std::unique_ptr<meta::Group> group;
    std::unique_ptr<meta::Router> router;
    std::unique_ptr<shards::Store> shards;
    std::unique_ptr<objects::Service> objects;

    Task<bool> open() {
        shards::Options store;
        store.segment_bytes = 64U << 20U;
        store.small_segment_bytes = 1U << 20U;
        auto opened_shards = co_await shards::Store::open(world, "shards", store, &metrics);
        if (!opened_shards) co_return false;
        shards = std::move(*opened_shards);
        proto::ClusterInfo info;
        info.set_cluster_id(std::string(16, 'c'));
        meta::GroupOptions options;
        options.wal_file_bytes = 1U << 20U;
        auto opened = co_await meta::open_group(world, "meta", options, &info, &metrics);
        if (!opened) co_return false;
        group = std::move(*opened);
        router = std::make_unique<meta::Router>(group.get());
        objects = objects::make_service(world, router.get(), shards.get(), {}, &metrics);
        co_return true;
    }
    Task<void> close() {
        co_await objects->stop();
        co_await shards->stop();
        co_await group->stop();
    }
};

// Users other than root have the id made of their name's first letter.
inline Identity identity_of(const std::string& name) {
    Identity identity;
    identity.name = name;
    if (name != "root") identity.user.raw.fill(static_cast<std::byte>(name.front()));
    return identity;
}

inline Task<S3Result<Reply>> perform(Stack* stack, std::string user, RequestHead head,
                                     std::string body) {
    CO_TRY_ASSIGN(Address address, parse_address(head, {}));
    CO_TRY_ASSIGN(const Action action, route(head, address.level));
    CO_TRY(check_headers(head, action));
    PayloadPlan plan;
    plan.length = body.size();
    CO_TRY_ASSIGN(auto expected, expectations_of(head, action, plan));
    StringSource source(std::move(body));
    BodyVerifier verifier(stack->world, &source, nullptr, std::move(expected));
    const VerifiedRequest request =
        TrustedRequest::make(std::move(head), action, identity_of(user), std::move(address));
    Context context{stack->world, stack->objects.get(), &stack->settings, &stack->metrics};
    auto reply = co_await handler_of(action)(&context, &request, &verifier);
    co_await verifier.stop();
    co_return reply;
}

// The body of a reply, streamed or not; nullopt when the stream broke.
inline Task<std::optional<std::string>> body_of(Reply* reply) {
    if (!reply->stream) co_return reply->body;
    std::string out;
    while (true) {
        auto next = co_await reply->stream->next();
        if (!next) co_return std::nullopt;
        if (next->empty()) break;
        out += base::as_text(next->bytes());
    }
    if (out.size() != reply->stream_length) co_return std::nullopt;
    co_return out;
}

}  // namespace ops::testing
}  // namespace hamster::s3
