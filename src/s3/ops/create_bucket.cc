#include "s3/ops/create_bucket.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "s3/bucket_name.h"
#include "s3/ops/answer.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

namespace {

// The shape of a region's name, e.g. eu-west-1; "EU" is eu-west-1's old name.
bool looks_like_region(std::string_view name) {
    if (name == "EU") return true;
    const auto dashes = std::ranges::count(name, '-');
    const bool plain = std::ranges::all_of(
        name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
    return plain && dashes >= 2 && name.back() >= '0' && name.back() <= '9';
}

S3Result<std::string> parse_constraint(std::string_view body) {
    if (body.empty()) return std::string();
    TRY_ASSIGN(const XmlElement root, parse_xml(body, "CreateBucketConfiguration"));
    for (const XmlElement& element : root.children) {
        if (element.name == "LocationConstraint") continue;
        // Directory buckets and tags of buckets: known to S3, not offered here.
        if (element.name == "Location" || element.name == "Bucket" || element.name == "Tags") {
            return refuse(ErrorCode::kNotImplemented,
                          "The bucket configuration asks for something that is not implemented.");
        }
        return refuse(ErrorCode::kMalformedXml);
    }
    TRY_ASSIGN(auto constraint, root.text_of("LocationConstraint"));
    return constraint.value_or(std::string());
}

proto::Command plan_create(const std::string& name, const Identity& identity,
                           const std::string& region, const base::BucketId& id) {
    proto::Command command;
    proto::CreateBucket& create = *command.mutable_create_bucket();
    create.set_name(name);
    create.set_bucket_id(std::string(id.view()));
    create.set_owner(std::string(identity.user.view()));
    create.set_region(region);
    return command;
}

}  // namespace

S3Result<> check_location(std::string_view body, std::string_view region) {
    TRY_ASSIGN(const std::string constraint, parse_constraint(body));
    const std::string_view wanted =
        constraint == "EU" && region == "eu-west-1" ? region : std::string_view(constraint);
    if (wanted.empty()) {
        if (region == kClassicRegion) return {};
        return refuse(ErrorCode::kIllegalLocationConstraint);
    }
    if (wanted == region && region != kClassicRegion) return {};
    S3Error error{ErrorCode::kInvalidLocationConstraint, {}, {}, {}};
    if (looks_like_region(wanted) && wanted != kClassicRegion) {
        error.code = ErrorCode::kIllegalLocationConstraint;
        error.message = fmt::format(
            "The {} location constraint is incompatible for the region specific endpoint this "
            "request was sent to.",
            wanted);
    }
    error.details.emplace_back("LocationConstraint", constraint);
    return std::unexpected(std::move(error));
}

runtime::Task<S3Result<Reply>> create_bucket(Context* context, const VerifiedRequest* request,
                                             RequestBody* body) {
    const std::string& region = context->settings->region;
    if (!is_valid_bucket_name(request->bucket())) {
        S3Error error{ErrorCode::kInvalidBucketName, {}, {}, {}};
        error.details.emplace_back("BucketName", request->bucket());
        co_return std::unexpected(std::move(error));
    }
    auto text = co_await read_all(body, kMaxCreateBucketBodyBytes);
    CO_TRY(text);
    CO_TRY(check_location(*text, region));
    meta::Group* group = &context->objects->router().system();
    std::array<std::byte, 16> random{};
    context->world->random.fill(random);
    const base::BucketId id{base::uuid_v7(group->stamp_now(), random)};
    proto::Command command = plan_create(request->bucket(), request->identity(), region, id);
    auto committed = co_await commit(context->world, group, std::move(command));
    CO_TRY_ASSIGN(const Committed outcome, committed);
    // S3's oldest region answers a repeated create as a success; every other one refuses it.
    const bool repeated = outcome.answer.status() == proto::Answer::BUCKET_ALREADY_OWNED_BY_YOU &&
                          region == kClassicRegion;
    if (!outcome.ok() && !repeated) {
        S3Error error = error_of(outcome.answer);
        error.details.emplace_back("BucketName", request->bucket());
        co_return std::unexpected(std::move(error));
    }
    Reply reply;
    reply.header("Location", "/" + request->bucket());
    co_return reply;
}

}  // namespace hamster::s3::ops
