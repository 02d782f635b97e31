#include "s3/ops/list_buckets.h"

#include <utility>

#include "base/encoding.h"
#include "s3/ops/arguments.h"
#include "s3/ops/listing.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

namespace {

// Buckets of other regions do not count towards the page; there are none today, but a bucket
// keeps the region it was made in when the setting changes.
S3Result<std::vector<proto::Bucket>> one_page(const meta::View& view, const Identity& identity,
                                              const BucketListing& listing) {
    std::optional<base::UserId> owner;
    if (!identity.is_root()) owner = identity.user;
    std::vector<proto::Bucket> out;
    std::string after = listing.after;
    while (out.size() <= listing.limit) {
        // One more than the page, to know whether there is another.
        const std::size_t limit = listing.limit + 1 - out.size();
        auto some = view.buckets(owner, listing.prefix, after, limit);
        if (!some) return std::unexpected(from_error(some.error()));
        const bool is_last = some->size() < limit;
        if (!some->empty()) after = some->back().name();
        for (proto::Bucket& bucket : *some) {
            if (listing.region.empty() || bucket.region() == listing.region) {
                out.push_back(std::move(bucket));
            }
        }
        if (is_last) break;
    }
    return out;
}

}  // namespace

S3Result<BucketListing> parse_bucket_listing(const RequestHead& head) {
    BucketListing out;
    out.prefix = param_or_empty(head, "prefix");
    out.region = param_or_empty(head, "bucket-region");
    if (const auto limit = head.param("max-buckets")) {
        const auto number = base::parse_u64(*limit);
        if (!number || *number < 1 || *number > kMaxBucketsListed) {
            return invalid_argument("max-buckets", *limit,
                                    "Argument max-buckets must be an integer between 1 and 10000");
        }
        out.limit = static_cast<std::uint32_t>(*number);
        out.paged = true;
    }
    const auto token = head.param("continuation-token");
    if (token && !token->empty()) {
        auto position = read_token(*token);
        if (!position) {
            return invalid_argument("continuation-token", *token,
                                    "The continuation token provided is incorrect");
        }
        out.after = std::move(position->after);
        out.paged = true;
    }
    out.paged = out.paged || !out.prefix.empty() || !out.region.empty();
    return out;
}

std::string render_buckets(const BucketListing& listing, const Owner& owner,
                           const std::vector<proto::Bucket>& buckets, const std::string& next) {
    XmlWriter xml(256 + buckets.size() * 160);
    xml.open_root("ListAllMyBucketsResult");
    write_owner(xml, "Owner", owner);
    xml.open("Buckets");
    for (const proto::Bucket& bucket : buckets) {
        xml.open("Bucket");
        xml.element("Name", bucket.name());
        xml.element("CreationDate", base::iso8601(bucket.created_ms()));
        if (listing.paged) xml.element("BucketRegion", bucket.region());
        xml.close();
    }
    xml.close();
    if (!next.empty()) xml.element("ContinuationToken", next);
    if (!listing.prefix.empty()) xml.element("Prefix", listing.prefix);
    xml.close();
    return std::move(xml).take();
}

runtime::Task<S3Result<Reply>> list_buckets(Context* context, const VerifiedRequest* request,
                                            RequestBody*) {
    CO_TRY_ASSIGN(const BucketListing listing, parse_bucket_listing(request->head()));
    auto view = co_await context->objects->router().system().view();
    if (!view) co_return std::unexpected(from_error(view.error()));
    CO_TRY_ASSIGN(auto buckets, one_page(*view, request->identity(), listing));
    std::string next;
    if (buckets.size() > listing.limit) {
        buckets.resize(listing.limit);
        next = make_token({buckets.back().name(), false});
    }
    CO_TRY_ASSIGN(const Owner owner, owner_named(*view, request->identity().user.view()));
    co_return xml_reply(render_buckets(listing, owner, buckets, next));
}

}  // namespace hamster::s3::ops
