#include "s3/ops/post_object.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/encoding.h"
#include "s3/ops/version_ids.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

namespace {

// Where the client goes next: an absolute http(s) URL without control characters; others are
// ignored, as AWS does with what it cannot read.
std::optional<std::string_view> redirect_target(const RequestHead& head) {
    auto target = head.header("success_action_redirect");
    if (!target) target = head.header("redirect");
    if (!target) return std::nullopt;
    const bool is_url = target->starts_with("http://") || target->starts_with("https://");
    const bool is_clean = std::ranges::all_of(
        *target, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7F; });
    if (!is_url || !is_clean) return std::nullopt;
    return target;
}

// The form went to the bucket's URL, which names the bucket in its host or in its path.
std::string location_of(const RequestHead& head, const std::string& key) {
    std::string out = head.url();
    if (!out.ends_with('/')) out += '/';
    return out + base::uri_encode(key, true);
}

std::string with_result(std::string_view target, const std::string& bucket, const std::string& key,
                        const std::string& etag) {
    std::string out(target);
    out += target.find('?') == std::string_view::npos ? '?' : '&';
    out += "bucket=" + base::uri_encode(bucket, false);
    out += "&key=" + base::uri_encode(key, false);
    out += "&etag=" + base::uri_encode('"' + etag + '"', false);
    return out;
}

std::string render(const std::string& location, const std::string& bucket, const std::string& key,
                   const std::string& etag) {
    XmlWriter xml;
    xml.open("PostResponse");
    xml.element("Location", location);
    xml.element("Bucket", bucket);
    xml.element("Key", key);
    xml.element("ETag", '"' + etag + '"');
    xml.close();
    return std::move(xml).take();
}

}  // namespace

Reply plan_post_reply(const RequestHead& head, const std::string& bucket, const std::string& key,
                      const PutOutcome& outcome) {
    Reply reply;
    const std::string location = location_of(head, key);
    const std::string_view status = head.header("success_action_status").value_or("");
    if (const auto target = redirect_target(head)) {
        reply.status = 303;
        reply.header("Location", with_result(*target, bucket, key, outcome.etag));
    } else if (status == "201") {
        reply = xml_reply(render(location, bucket, key, outcome.etag), 201);
        reply.header("Location", location);
    } else {
        reply.status = status == "200" ? 200 : 204;
        reply.header("Location", location);
    }
    reply.header("ETag", '"' + outcome.etag + '"');
    add_version_header(reply, outcome.version_id);
    return reply;
}

runtime::Task<S3Result<Reply>> post_object(Context* context, const VerifiedRequest* request,
                                           RequestBody* body) {
    auto written = co_await write_object(context, request, body);
    CO_TRY_ASSIGN(const PutOutcome outcome, written);
    co_return plan_post_reply(request->head(), request->bucket(), request->key(), outcome);
}

}  // namespace hamster::s3::ops
