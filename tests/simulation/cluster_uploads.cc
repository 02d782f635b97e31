// Copies and multipart uploads of the clients of a simulated cluster.
#include <fmt/format.h>

#include <utility>

#include "base/encoding.h"
#include "cluster_clients.h"

namespace hamster::simulation {

namespace {

constexpr std::uint64_t kLeastPart = 5ULL << 20;
constexpr int kCompleteAttempts = 3;

std::string source_of(const std::string& key) { return fmt::format("{}/{}", kClusterBucket, key); }

// Words of eight bytes are drawn one by one: from any of them on it is a piece of its own.
Piece behind(const Piece& piece, std::uint64_t words) {
    return {piece.seed + words * 0x9E37ULL, piece.size - words * 8};
}

bool is_error_document(const S3Reply& reply) { return reply.ok() && !reply.code().empty(); }

}  // namespace

// Copies what `from` held when it was seen, or nothing: so it is known what would be written.
Task<void> ClusterClient::copy(Member* member, std::string from, std::string to) {
    const Seen seen = seen_[from];
    const bool is_clear = seen.tag != kAbsent && has_bodies(from) && has_bodies(to) && from != to &&
                          stage_->bodies.will_be_copied(seen.tag);
    if (!is_clear) {
        (void)co_await read(member, from, Kind::kHead);
        co_return;
    }
    S3Request request = to_key("PUT", to);
    request.headers.emplace_back("x-amz-copy-source", source_of(from));
    request.headers.emplace_back("x-amz-copy-source-if-match", '"' + seen.etag + '"');
    std::string_view what = "copy";
    if (chance(40)) {  // stored anew; otherwise a second reference
        request.headers.emplace_back("x-amz-checksum-algorithm", "SHA256");
        what = "copy-anew";
    }
    const auto read = begin(from, Kind::kGet);
    const auto write = begin(to, Kind::kPut, seen.tag);
    auto reply = co_await call(member, std::move(request), what);
    settle_copy(read, write, seen.tag, reply);
    if (reply.ok() && !is_error_document(reply)) {
        seen_[to] = {seen.tag, unquoted(xml_text(reply.body, "ETag"))};
    }
}

void ClusterClient::settle_copy(History::Token read, History::Token write, Tag tag,
                                const S3Reply& reply) {
    const runtime::Time now = stage_->cluster->now();
    History& history = stage_->history;
    if (reply.ok() && !is_error_document(reply)) {
        history.end(read, Outcome::kOk, tag, now);
        return history.end(write, Outcome::kOk, kAbsent, now);
    }
    if (reply.status == 412) {  // the source is another one by now
        history.refused(read);
        return history.refused(write);
    }
    if (reply.status == 404 && reply.code() == "NoSuchKey") {
        history.end(read, Outcome::kNotFound, kAbsent, now);
        return history.refused(write);
    }
    history.refused(read);
    if (reply.ok()) return history.end(write, Outcome::kUnknown, kAbsent, now);
    settle_write(write, reply, false);
}

Task<void> ClusterClient::upload(Member* member, std::string key) {
    if (!has_bodies(key)) {
        (void)co_await put(member, key);
        co_return;
    }
    Upload upload;
    upload.key = key;
    upload.tag = stage_->history.new_tag();
    S3Request request = to_key("POST", key);
    request.query.emplace_back("uploads", "");
    request.headers.emplace_back(kTagHeader, std::to_string(upload.tag));
    auto created = co_await call(member, std::move(request), "create-upload");
    if (!created.ok()) co_return;
    upload.id = xml_text(created.body, "UploadId");
    const auto& keys = stage_->cluster->plan().keys;
    const std::string other = keys[below(keys.size())];
    auto first_part =
        chance(30) ? copy_part(member, &upload, 1, other) : put_part(member, &upload, 1);
    bool is_good = co_await std::move(first_part);
    for (int again = 0; again < 2 && chance(25); ++again) {
        Member* const next = stage_->cluster->any_serving();
        if (next != nullptr) is_good = co_await put_part(next, &upload, 1);
    }
    const auto first = upload.parts.find(1);
    if (is_good && first != upload.parts.end() && first->second.first.size >= kLeastPart) {
        is_good = co_await put_part(member, &upload, 2);
    }
    Member* const last = stage_->cluster->any_serving();
    if (is_good && chance(75)) co_return co_await complete(std::move(upload));
    if (last != nullptr && chance(60)) co_await abort(last, std::move(upload));
}

Task<bool> ClusterClient::put_part(Member* member, Upload* upload, int number) {
    Piece piece = stage_->bodies.draw();
    if (number == 1 && stage_->cluster->plan().has_two_parts) piece.size += kLeastPart;
    S3Request request = to_key("PUT", upload->key);
    request.query.emplace_back("partNumber", std::to_string(number));
    request.query.emplace_back("uploadId", upload->id);
    request.body = bytes_of(piece);
    auto reply = co_await call(member, std::move(request), "upload-part");
    settle_part(upload, number, piece, reply);
    co_return reply.ok();
}

// Without an answer either of two bodies may be the part, now or later.
void ClusterClient::settle_part(Upload* upload, int number, Piece piece, const S3Reply& reply) {
    const bool is_done = reply.ok() && !is_error_document(reply);
    if (reply.code() == "NoSuchUpload")
        report().violation("I6", "an upload is gone: " + reply.body);
    if (is_done) upload->parts[number] = {piece, plain_etag(piece)};
    const bool is_unknown = reply.status == 0 || reply.status >= 500 || (reply.ok() && !is_done);
    if (is_unknown) upload->is_doubtful = true;
}

Task<bool> ClusterClient::copy_part(Member* member, Upload* upload, int number, std::string from) {
    const Seen seen = seen_[from];
    const Body* const body = stage_->bodies.find(seen.tag);
    if (body == nullptr || body->content.size() != 1) {
        const bool is_put = co_await put_part(member, upload, number);
        co_return is_put;
    }
    const Piece whole = body->content.front();
    const Piece piece = chance(50) ? whole : behind(whole, below((whole.size - 1) / 8 + 1));
    S3Request request = to_key("PUT", upload->key);
    request.query.emplace_back("partNumber", std::to_string(number));
    request.query.emplace_back("uploadId", upload->id);
    request.headers.emplace_back("x-amz-copy-source", source_of(from));
    request.headers.emplace_back("x-amz-copy-source-if-match", '"' + seen.etag + '"');
    if (piece != whole) {
        request.headers.emplace_back(
            "x-amz-copy-source-range",
            fmt::format("bytes={}-{}", whole.size - piece.size, whole.size - 1));
    }
    auto reply = co_await call(member, std::move(request), "upload-part-copy");
    settle_part(upload, number, piece, reply);
    co_return upload->parts.contains(number);
}

Task<void> ClusterClient::complete(Upload upload) {
    std::string xml = "<CompleteMultipartUpload>";
    Content content;
    for (const auto& [number, part] : upload.parts) {
        content.push_back(part.first);
        xml += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"{}\"</ETag></Part>", number,
                           part.second);
    }
    xml += "</CompleteMultipartUpload>";
    // Parts copied from the same place: this could not be told from the other one.
    if (stage_->bodies.tag_of(composite_etag(content)) != kAbsent) co_return;
    const std::string etag = stage_->bodies.add(upload.tag, std::move(content), true).etag;
    Operation asked;
    asked.kind = Kind::kPut;
    asked.tag = upload.tag;
    asked.if_none_match = chance(20);
    const auto token = begin(upload.key, asked);
    S3Reply reply;
    bool is_repeated = false;
    for (int attempt = 0; attempt < kCompleteAttempts; ++attempt) {
        Member* const member = stage_->cluster->any_serving();
        if (member != nullptr) {
            S3Request request = to_key("POST", upload.key);
            request.query.emplace_back("uploadId", upload.id);
            request.body = xml;
            if (asked.if_none_match) request.headers.emplace_back("if-none-match", "*");
            is_repeated = is_repeated || attempt > 0;
            reply = co_await call(member, std::move(request), "complete-upload");
            if (reply.status != 0 && reply.status < 500 && !is_error_document(reply)) break;
        }
        if (stage_->stop) break;
        co_await stage_->world->clock.sleep(std::chrono::milliseconds(30));
    }
    const bool is_lost = reply.code() == "NoSuchUpload" || reply.code() == "InvalidPart";
    const bool is_excused = is_repeated || (upload.is_doubtful && reply.code() == "InvalidPart");
    if (is_lost && !is_excused) {
        report().violation("I6", fmt::format("Complete of '{}' (tag {}) was answered {}",
                                             upload.key, upload.tag, reply.body));
    }
    const bool is_told = reply.ok() && !is_error_document(reply);
    if (is_told) seen_[upload.key] = {upload.tag, etag};
    // What an earlier attempt did cannot be told from a refusal, nor from an error under a 200.
    if (!is_told && (is_repeated || reply.ok() || reply.status == 0 || is_lost)) {
        co_return stage_->history.end(token, Outcome::kUnknown, kAbsent, stage_->cluster->now());
    }
    settle_write(token, reply, asked.if_none_match);
}

Task<void> ClusterClient::abort(Member* member, Upload upload) {
    S3Request request = to_key("DELETE", upload.key);
    request.query.emplace_back("uploadId", upload.id);
    (void)co_await call(member, std::move(request), "abort-upload");
}

}  // namespace hamster::simulation
