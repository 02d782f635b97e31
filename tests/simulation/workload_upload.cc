// Multipart uploads: all or nothing (I6), and made of exactly the parts that Complete named.
#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "workload.h"

namespace hamster::simulation {

namespace {
constexpr std::uint64_t kFiveMiB = 5ULL << 20;
constexpr int kCompleteAttempts = 3;
}  // namespace

Task<void> Worker::multipart() {
    Model& model = *stage_->model;
    // One left open earlier may be gone on with.
    if (!open_uploads_.empty() && chance(40)) {
        Upload upload = std::move(open_uploads_.back());
        open_uploads_.pop_back();
        if (!upload.parts.empty()) co_return co_await complete(std::move(upload));
    }
    Upload upload;
    upload.key = pick_key();
    upload.version = model.add_version({upload.key, Content{}, "?", {}, true});
    S3Request request = to_key("POST", upload.key);
    request.query.emplace_back("uploads", "");
    request.headers.emplace_back("x-amz-meta-v", std::to_string(upload.version));
    auto reply = co_await call(std::move(request), "create-upload");
    if (!reply.ok()) {
        (void)excused(reply, "CreateMultipartUpload");
        co_return;
    }
    upload.id = xml_text(reply.body, "UploadId");
    const bool two = stage_->two_part_uploads && chance(50);
    const std::uint64_t first = two ? kFiveMiB + below(3) : pick_size() + 1;
    bool good = co_await upload_part(&upload, 1, first);
    if (good && chance(35))
        good = co_await upload_part(&upload, 1, two ? kFiveMiB : pick_size() + 1);
    if (good && two) good = co_await upload_part(&upload, 2, pick_size() + 1);
    if (chance(30)) co_await check_parts(&upload);
    // Some wait, so that collection has a chance to take what it must not.
    if (chance(30)) {
        const auto pause = static_cast<std::int64_t>(below(2'000'000));
        co_await stage_->world->clock.sleep(runtime::Micros(pause));
    }
    if (good && chance(70)) co_return co_await complete(std::move(upload));
    if (chance(50)) {
        S3Request abort = to_key("DELETE", upload.key);
        abort.query.emplace_back("uploadId", upload.id);
        auto aborted = co_await call(std::move(abort), "abort-upload");
        if (aborted.ok()) co_return;
        (void)excused(aborted, "AbortMultipartUpload");
        upload.maybe_aborted = true;
    }
    open_uploads_.push_back(std::move(upload));
}

Task<bool> Worker::upload_part(Upload* upload, int number, std::uint64_t size) {
    const Piece piece{random_.next(), size};
    S3Request request = to_key("PUT", upload->key);
    request.query.emplace_back("partNumber", std::to_string(number));
    request.query.emplace_back("uploadId", upload->id);
    request.body = bytes_of(piece);
    request.mode = chance(50) ? BodyMode::kUnsigned : BodyMode::kTrailer;
    maybe_break(request);
    auto reply = co_await call(std::move(request), "upload-part");
    if (!reply.ok()) {
        if (reply.status != 404 && reply.status != 507) (void)excused(reply, "UploadPart");
        if (reply.status == 0 || (reply.status >= 500 && reply.status != 507)) {
            upload->doubtful[number] = true;
        }
        co_return false;
    }
    const auto before = upload->parts.find(number);
    if (before != upload->parts.end()) upload->replaced[number] = before->second.etag;
    const std::string etag = plain_etag(piece);
    upload->parts[number] = {piece, etag};
    upload->doubtful[number] = false;
    if (reply.header("etag") != '"' + etag + '"') {
        stage_->report->violation("I5", fmt::format("a part of '{}' has ETag {}, not {}",
                                                    upload->key, reply.header("etag"), etag));
    }
    co_return true;
}

Task<void> Worker::check_parts(const Upload* upload) {
    S3Request request = to_key("GET", upload->key);
    request.query.emplace_back("uploadId", upload->id);
    auto reply = co_await call(std::move(request), "list-parts");
    if (!reply.ok()) {
        (void)excused(reply, "ListParts");
        co_return;
    }
    for (const auto& [number, part] : upload->parts) {
        const auto doubt = upload->doubtful.find(number);
        if (doubt != upload->doubtful.end() && doubt->second) continue;
        const auto rows = xml_elements(reply.body, "Part");
        const bool there = std::ranges::any_of(rows, [&](const std::string& row) {
            return xml_text(row, "PartNumber") == std::to_string(number) &&
                   xml_text(row, "ETag") == '"' + part.etag + '"' &&
                   xml_text(row, "Size") == std::to_string(part.piece.size);
        });
        if (!there) {
            stage_->report->violation(
                "I6", fmt::format("'{}': acknowledged part {} is not listed: {}", upload->key,
                                  number, reply.body));
        }
    }
}

Task<void> Worker::complete(Upload upload) {
    Model& model = *stage_->model;
    Content content;
    std::string xml = "<CompleteMultipartUpload>";
    // Naming an ETag that the part no longer has must fail.
    const bool stale = !upload.replaced.empty() && chance(50) && !upload.doubtful[1];
    bool doubtful = false;
    for (const auto& [number, part] : upload.parts) {
        const auto old = upload.replaced.find(number);
        const std::string& etag = stale && old != upload.replaced.end() ? old->second : part.etag;
        xml += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"{}\"</ETag></Part>", number,
                           etag);
        content.push_back(part.piece);
        doubtful = doubtful || upload.doubtful[number];
    }
    xml += "</CompleteMultipartUpload>";
    const VersionNumber version = upload.version;
    model.settle_content(version, content, composite_etag(content));
    Intent intent;
    intent.change = Change::kPut;
    intent.value = {version, 0};
    S3Request request = to_key("POST", upload.key);
    request.query.emplace_back("uploadId", upload.id);
    request.body = std::move(xml);
    if (chance(20)) {
        intent.if_absent = true;
        request.headers.emplace_back("if-none-match", "*");
    }
    intent.text = fmt::format("worker {}: v{} Complete {}{}", number_, version, upload.key,
                              intent.if_absent ? " if-none-match=*" : "");
    const bool conditional = intent.if_absent;
    const OpId op = model.begin(upload.key, std::move(intent));
    S3Reply reply;
    bool repeated = false;
    for (int attempt = 0; attempt < kCompleteAttempts; ++attempt) {
        S3Request copy = request;
        if (attempt > 0) model.repeat(op);
        reply = co_await call(std::move(copy), "complete-upload");
        if (reply.status != 0 && reply.status < 500) break;
        repeated = true;
        if (stage_->stop) break;
        co_await stage_->world->clock.sleep(std::chrono::milliseconds(30));
    }
    const bool is_error = xml_text(reply.body, "Code") != "";
    if (reply.ok() && !is_error) {
        if (stale) {
            stage_->report->violation("I6",
                                      fmt::format("'{}': Complete took a part under an ETag it no "
                                                  "longer has",
                                                  upload.key));
        }
        std::string etag = xml_text(reply.body, "ETag");
        if (etag.size() > 2) etag = etag.substr(1, etag.size() - 2);
        model.learn(version, etag);
        co_return model.end(op, Told::kDone);
    }
    if (reply.ok()) co_return model.unknown(op);
    // Whether an earlier attempt took effect cannot be told from these.
    if (repeated || reply.status == 0) co_return model.unknown(op);
    if (reply.status == 400 && (stale || doubtful)) co_return model.refused(op);
    if (reply.status == 404 && upload.maybe_aborted) co_return model.refused(op);
    settle_write(op, reply, conditional);
    if (!reply.ok() && reply.status == 412) open_uploads_.push_back(std::move(upload));
}

Task<void> Worker::abort_uploads() {
    for (int round = 0; round < 50 && !stage_->stop && !stage_->report->failed(); ++round) {
        S3Request request;
        request.bucket = kBucket;
        request.query.emplace_back("uploads", "");
        auto reply = co_await call(std::move(request), "list-uploads");
        if (!reply.ok()) {
            (void)excused(reply, "ListMultipartUploads");
            co_return;
        }
        const auto uploads = xml_elements(reply.body, "Upload");
        if (uploads.empty()) break;
        for (const std::string& row : uploads) {
            S3Request abort = to_key("DELETE", xml_text(row, "Key"));
            abort.query.emplace_back("uploadId", xml_text(row, "UploadId"));
            auto aborted = co_await call(std::move(abort), "abort-upload");
            if (!aborted.ok()) (void)excused(aborted, "AbortMultipartUpload");
        }
    }
    client_.disconnect();
}

}  // namespace hamster::simulation
