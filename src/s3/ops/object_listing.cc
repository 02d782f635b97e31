#include "s3/ops/object_listing.h"

#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "base/encoding.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"

namespace hamster::s3::ops {

namespace {

// A listing must be rendered at hundreds of thousands of keys a second, so a row is appended piece
// by piece to one string.
constexpr std::size_t kBytesPerRow = 320;

void append_text(std::string& out, std::string_view text, bool url) {
    if (url) {
        append_listing_encoded(out, text);
    } else {
        append_xml_escaped(out, text);
    }
}

void append_number(std::string& out, std::uint64_t number) {
    char digits[20];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
    out.append(digits, static_cast<std::size_t>(end - digits));
}

void append_owner(std::string& out, const Owner& owner) {
    out += "<Owner><ID>";
    append_xml_escaped(out, owner.id);
    out += "</ID><DisplayName>";
    append_xml_escaped(out, owner.name);
    out += "</DisplayName></Owner>";
}

class Renderer final : public meta::CurrentVisitor {
  public:
    Renderer(const meta::View* view, const ObjectListing* listing)
        : listing_(listing), owners_(view) {
        rows_.contents.reserve(kBytesPerRow * listing->limit / 4);
    }

    void on_key(std::string_view key, const proto::Current& current) override {
        ++rows_.count;
        const Owner* owner = listing_->with_owner ? owner_of_row(current.owner()) : nullptr;
        append_contents(rows_.contents, key, current, owner, listing_->url);
    }
    void on_prefix(std::string_view prefix) override {
        ++rows_.count;
        rows_.prefixes += "<CommonPrefixes><Prefix>";
        append_text(rows_.prefixes, prefix, listing_->url);
        rows_.prefixes += "</Prefix></CommonPrefixes>";
    }
    S3Result<ObjectRows> finish(meta::PageEnd end) {
        if (failure_) return std::unexpected(std::move(*failure_));
        rows_.end = std::move(end);
        return std::move(rows_);
    }

  private:
    const Owner* owner_of_row(const std::string& id) {
        auto owner = owners_.find(id);
        if (owner) return *owner;
        failure_ = std::move(owner).error();
        return nullptr;
    }

    const ObjectListing* listing_;
    ObjectRows rows_;
    OwnerNames owners_;
    std::optional<S3Error> failure_;
};

}  // namespace

void append_contents(std::string& out, std::string_view key, const proto::Current& current,
                     const Owner* owner, bool url) {
    out += "<Contents><Key>";
    append_text(out, key, url);
    out += "</Key><LastModified>";
    out += base::iso8601(current.modified_ms());
    out += "</LastModified><ETag>&quot;";
    append_xml_escaped(out, current.etag());
    out += "&quot;</ETag>";
    if (current.checksum_algorithm() != proto::CHECKSUM_NONE) {
        out += "<ChecksumAlgorithm>";
        out += algorithm_name(current.checksum_algorithm());
        out += "</ChecksumAlgorithm><ChecksumType>";
        out += type_name(current.checksum_type());
        out += "</ChecksumType>";
    }
    out += "<Size>";
    append_number(out, current.size());
    out += "</Size>";
    if (owner != nullptr) append_owner(out, *owner);
    out += "<StorageClass>";
    out += current.storage_class().empty() ? std::string_view("STANDARD")
                                           : std::string_view(current.storage_class());
    out += "</StorageClass></Contents>";
}

S3Result<ObjectListing> parse_object_listing(const RequestHead& head) {
    ObjectListing out;
    out.prefix = param_or_empty(head, "prefix");
    out.delimiter = param_or_empty(head, "delimiter");
    TRY_ASSIGN(out.limit, count_argument("max-keys", head.param("max-keys"), kMaxListed));
    TRY_ASSIGN(out.url, wants_url_encoding(head));
    return out;
}

S3Result<ObjectRows> render_objects(const BucketAccess& access, const ObjectListing& listing) {
    if (listing.limit == 0) return ObjectRows{};  // nothing asked for, nothing more to come
    meta::ListQuery query;
    query.prefix = listing.prefix;
    query.delimiter = listing.delimiter;
    query.after = listing.from.after;
    query.after_is_prefix = listing.from.is_prefix;
    query.limit = listing.limit;
    Renderer renderer(&access.view, &listing);
    auto end = access.view.visit_current(access.id, query, renderer);
    if (!end) return std::unexpected(from_error(end.error()));
    return renderer.finish(std::move(*end));
}

}  // namespace hamster::s3::ops
