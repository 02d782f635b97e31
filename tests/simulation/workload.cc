#include "workload.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace hamster::simulation {

namespace {

constexpr runtime::Micros kLivenessLimit = std::chrono::seconds(5);

std::string text_of(const S3Request& request) {
    std::string text = request.method + " " + request.key;
    for (const auto& [name, value] : request.query) text += " ?" + name + "=" + value;
    for (const auto& [name, value] : request.headers) text += " " + name + "=" + value;
    if (request.method == "PUT") text += fmt::format(" [{} bytes]", request.body.size());
    if (request.abort_after) text += fmt::format(" (aborted after {})", *request.abort_after);
    return text;
}

std::string number_text(VersionNumber number) { return std::to_string(number); }

}  // namespace

Worker::Worker(Stage* stage, std::uint64_t seed, int number)
    : stage_(stage),
      number_(number),
      random_(runtime::Prng::split(seed, fmt::format("worker {}", number))),
      client_(stage->world, stage->address, &stage->server_offset_ms) {}

Task<void> Worker::run(int operations) {
    for (int i = 0; i < operations && !stage_->stop && !stage_->report->failed(); ++i) {
        co_await one_operation();
        const auto pause = static_cast<std::int64_t>(below(chance(10) ? 400'000 : 8'000));
        co_await stage_->world->clock.sleep(runtime::Micros(pause));
    }
    client_.disconnect();
}

Task<void> Worker::one_operation() {
    const std::uint64_t dice = below(100);
    if (dice < 26) co_return co_await put();
    if (dice < 30) co_return co_await put_refused();
    if (dice < 44) co_return co_await get();
    if (dice < 52) co_return co_await get_range();
    if (dice < 55) co_return co_await head();
    if (dice < 65) co_return co_await remove();
    if (dice < 68) co_return co_await remove_many();
    if (dice < 74) co_return co_await copy();
    if (dice < 78) co_return co_await tag();
    if (dice < 80) co_return co_await get_tags();
    if (dice < 90) co_return co_await list();
    co_await multipart();
}

const std::string& Worker::pick_key() {
    // A few keys are hot: races need company.
    const std::size_t hot = std::min<std::size_t>(3, stage_->keys.size());
    return stage_->keys[below(chance(45) ? hot : stage_->keys.size())];
}

// Sizes gather around what the store treats differently.
std::uint64_t Worker::pick_size() {
    constexpr std::array<std::uint64_t, 9> kBorders = {
        0, 1, 4096, 65536, 128 * 1024, 256 * 1024, 512 * 1024, 3 * 256 * 1024, 4 * 256 * 1024};
    const std::uint64_t dice = below(100);
    if (dice < 45) return below(5'000);
    if (dice < 60) return below(130'000);
    const bool long_bodies = stage_->max_bytes > 1'000'000;
    if (dice < (long_bodies ? 70 : 90)) {
        const std::uint64_t border = kBorders[below(kBorders.size())];
        const std::uint64_t size = border + below(5);
        return std::min(size < 2 ? size : size - 2, stage_->max_bytes);
    }
    return below(stage_->max_bytes);
}

S3Request Worker::to_key(std::string method, const std::string& key) {
    S3Request request;
    request.method = std::move(method);
    request.bucket = kBucket;
    request.key = key;
    return request;
}

// Now and then the client goes away in the middle.
void Worker::maybe_break(S3Request& request) {
    if (stage_->healthy || !chance(4)) return;
    stage_->report->reached("client.abort");
    request.abort_after = below(request.body.size() + 1);
}

Task<S3Reply> Worker::call(S3Request request, std::string_view what) {
    const std::string text = text_of(request);
    const bool is_get = request.method == "GET";
    const bool dawdles = request.read_pause.count() > 0;  // its own fault
    const runtime::Time began = stage_->world->clock.now();
    const bool promised = stage_->healthy;
    const bool leaves = request.abort_after || request.hang_up_reading;
    // A connection that a fault has seen may be dead without the client knowing.
    if (connected_at_ != stage_->disturbances && (promised || chance(50))) client_.disconnect();
    if (!client_.is_connected()) connected_at_ = stage_->disturbances;
    const bool calm = !stage_->disturbed && !leaves && connected_at_ == stage_->disturbances;
    const std::uint64_t disturbances = stage_->disturbances;
    auto reply = co_await client_.call(std::move(request));
    stage_->report->reached(fmt::format("op.{}", what));
    stage_->report->reached(fmt::format("status.{}", reply.status));
    reply.clean = calm && !stage_->disturbed && disturbances == stage_->disturbances;
    if (reply.status != 0) ++stage_->completed;
    if (reply.status == 500) ++stage_->server_errors;
    const auto took = stage_->world->clock.now() - began;
    if (promised && stage_->healthy && took > kLivenessLimit && !dawdles) {
        stage_->report->violation(
            "I10", fmt::format("{} took {} us after everything was healed", text, took.count()));
    }
    const bool may_be_lost = stage_->bodies_may_be_lost && is_get;
    if (promised && stage_->healthy && reply.status == 0 && !may_be_lost) {
        stage_->report->violation("I10", text + " was not answered after everything was healed");
    }
    co_return reply;
}

bool Worker::excused(const S3Reply& reply, std::string_view what) {
    if (reply.status == 0 || reply.status >= 500) {
        // Overload is answered 503, and that is all right while clients fight.
        const bool fine = reply.status == 503 && !stage_->healthy;
        if (!reply.clean || fine) return true;
        stage_->report->violation("I10",
                                  fmt::format("worker {}: {} was answered {} {} though no fault "
                                              "was under way",
                                              number_, what, reply.status, reply.code()));
        return true;
    }
    const std::string code = reply.code();
    // The wall clock jumped while the request travelled; a slow disk outlasted a patience.
    if (reply.status == 403 && (code == "RequestTimeTooSkewed" || code.empty())) return true;
    return reply.status == 400 && (code == "RequestTimeout" || code == "IncompleteBody");
}

void Worker::settle_write(OpId op, const S3Reply& reply, bool conditional) {
    Model& model = *stage_->model;
    if (reply.ok()) return model.end(op, Told::kDone);
    if (reply.status == 0 && !reply.sent) return model.refused(op);
    if (reply.status == 507) {
        stage_->report->reached("fault.refused-full");
        (void)excused(reply, "a write");
        return model.refused(op);
    }
    if (reply.status == 0 || reply.status >= 500) {
        (void)excused(reply, "a write");
        return model.unknown(op);
    }
    if (conditional && reply.status == 412) return model.end(op, Told::kPreconditionFailed);
    if (conditional && reply.status == 404 && reply.code() != "NoSuchBucket") {
        return model.end(op, Told::kNotFound);
    }
    if (!excused(reply, "a write") && reply.status != 409) {
        stage_->report->violation(
            "I1", fmt::format("worker {}: an unexpected answer to a write: {} {}", number_,
                              reply.status, reply.body));
    }
    model.refused(op);
}

std::string Worker::some_etag(const std::string& key) {
    std::string found;
    for (const State& state : stage_->model->possible(key)) {
        const std::string etag = state.absent() ? "" : stage_->model->facts(state.version).etag;
        if (!etag.empty() && (found.empty() || chance(50))) found = etag;
    }
    return found.empty() || chance(15) ? std::string(32, 'e') : found;
}

Task<void> Worker::put() {
    Model& model = *stage_->model;
    const std::string key = pick_key();
    const Piece piece{random_.next(), pick_size()};
    S3Request request = to_key("PUT", key);
    request.body = bytes_of(piece);
    constexpr std::array kModes = {BodyMode::kUnsigned, BodyMode::kUnsigned, BodyMode::kSigned,
                                   BodyMode::kTrailer, BodyMode::kSignedChunks};
    request.mode = kModes[below(kModes.size())];
    Intent intent;
    intent.change = Change::kPut;
    const VersionNumber version =
        model.add_version({key, Content{piece}, plain_etag(piece), {}, false});
    intent.value = {version, 0};
    request.headers.emplace_back("x-amz-meta-v", number_text(version));
    if (chance(15)) {
        intent.value.tag = static_cast<std::uint32_t>(below(1000) + 1);
        request.headers.emplace_back("x-amz-tagging", fmt::format("t={}", intent.value.tag));
    }
    const std::uint64_t dice = below(100);
    if (dice < 20) {
        intent.if_absent = true;
        request.headers.emplace_back("if-none-match", "*");
        stage_->report->reached("op.put-if-none-match");
    } else if (dice < 35) {
        intent.if_match = some_etag(key);
        request.headers.emplace_back("if-match", '"' + intent.if_match + '"');
        stage_->report->reached("op.put-if-match");
    }
    request.expect_continue = chance(10);
    maybe_break(request);
    intent.text = fmt::format("worker {}: v{} {}", number_, version, text_of(request));
    const bool conditional = intent.if_absent || !intent.if_match.empty();
    const OpId op = model.begin(key, std::move(intent));
    auto reply = co_await call(std::move(request), "put");
    settle_write(op, reply, conditional);
    if (reply.ok()) {
        const std::string etag = reply.header("etag");
        if (etag != '"' + model.facts(version).etag + '"') {
            stage_->report->violation(
                "I5", fmt::format("PUT of v{} of '{}' answered ETag {}, not {}", version, key, etag,
                                  model.facts(version).etag));
        }
    }
}

// A body whose checksum or hash is wrong must be refused and never seen.
Task<void> Worker::put_refused() {
    Model& model = *stage_->model;
    const std::string key = pick_key();
    const Piece piece{random_.next(), pick_size()};
    S3Request request = to_key("PUT", key);
    request.body = bytes_of(piece);
    request.mode = chance(50) ? BodyMode::kWrongTrailer : BodyMode::kWrongHash;
    Intent intent;
    intent.change = Change::kPut;
    const VersionNumber version =
        model.add_version({key, Content{piece}, plain_etag(piece), {}, false});
    intent.value = {version, 0};
    request.headers.emplace_back("x-amz-meta-v", number_text(version));
    intent.text =
        fmt::format("worker {}: v{} {} with a wrong checksum", number_, version, text_of(request));
    const OpId op = model.begin(key, std::move(intent));
    auto reply = co_await call(std::move(request), "put-refused");
    if (reply.ok()) {
        stage_->report->violation(
            "I5", fmt::format("'{}': a body with a wrong checksum was stored", key));
    }
    if (reply.status == 400) {
        model.refused(op);
    } else {
        // Whatever else happened: a body that failed its verification is never committed.
        if (reply.status != 0 && !excused(reply, "a refused write") && reply.status < 500) {
            stage_->report->violation(
                "I5", fmt::format("a body with a wrong checksum: {} {}", reply.status, reply.body));
        }
        model.refused(op);
    }
}

Task<void> Worker::get() {
    const std::string key = pick_key();
    S3Request request = to_key("GET", key);
    if (!stage_->healthy && chance(8)) request.hang_up_reading = below(200'000);
    // Slow readers of long bodies: what they read is overwritten and collected meanwhile.
    if (chance(stage_->max_bytes > 1'000'000 ? 45 : 15)) {
        request.read_pause = runtime::Micros(static_cast<std::int64_t>(below(100'000)));
    }
    co_await read_key(key, std::move(request));
}

Task<void> Worker::get_range() {
    const std::string key = pick_key();
    S3Request request = to_key("GET", key);
    std::uint64_t size = 1000;
    for (const State& state : stage_->model->possible(key)) {
        if (state.absent() || !stage_->model->facts(state.version).content) continue;
        size = std::max<std::uint64_t>(1, size_of(*stage_->model->facts(state.version).content));
    }
    const std::uint64_t dice = below(4);
    if (dice == 0) {
        request.headers.emplace_back("range", fmt::format("bytes=-{}", below(size) + 1));
    } else if (dice == 1) {
        request.headers.emplace_back("range", fmt::format("bytes={}-", below(size + 1)));
    } else {
        const std::uint64_t from = below(size);
        request.headers.emplace_back(
            "range", fmt::format("bytes={}-{}", from, from + below(size - from + 2)));
    }
    co_await read_key(key, std::move(request));
}

Task<void> Worker::head() {
    const std::string key = pick_key();
    co_await read_key(key, to_key("HEAD", key));
}

Task<void> Worker::read_key(std::string key, S3Request request) {
    Intent intent;
    intent.text = fmt::format("worker {}: {}", number_, text_of(request));
    const OpId op = stage_->model->begin(key, std::move(intent));
    const bool ranged = !request.headers.empty();
    auto reply = co_await call(request, request.method == "HEAD" ? "head"
                                        : ranged                 ? "get-range"
                                                                 : "get");
    if (reply.status == 404) {
        co_return stage_->model->end(op, Told::kDone, Model::is_absent);
    }
    if (reply.status == 416) {  // beyond the end: of whatever version
        co_return stage_->model->end(op, Told::kDone,
                                     [](const State& state) { return !state.absent(); });
    }
    if (!reply.ok()) {
        const bool lost = stage_->bodies_may_be_lost && request.method == "GET";
        if (!lost && !request.hang_up_reading && !excused(reply, text_of(request))) {
            stage_->report->violation(
                "I5", fmt::format("an unexpected answer to {}: {} {}", text_of(request),
                                  reply.status, reply.body));
        }
        co_return stage_->model->unknown(op);
    }
    check_body(key, op, request, reply);
}

void Worker::check_body(const std::string& key, OpId op, const S3Request& request,
                        const S3Reply& reply) {
    Model& model = *stage_->model;
    const auto number = base::parse_u64(reply.header("x-amz-meta-v")).value_or(0);
    const auto version = static_cast<VersionNumber>(number);
    if (!model.knows(version) || model.facts(version).key != key) {
        stage_->report->violation(
            "I5", fmt::format("'{}' answers version {}, which it never had", key, number));
        return model.unknown(op);
    }
    model.end(op, Told::kDone, model.is_version(version));
    std::string etag = reply.header("etag");
    if (etag.size() > 2) etag = etag.substr(1, etag.size() - 2);
    model.learn(version, etag);
    const VersionFacts& facts = model.facts(version);
    if (!facts.content) return;
    const std::uint64_t size = size_of(*facts.content);
    std::uint64_t offset = 0;
    std::uint64_t length = size;
    if (reply.status == 206) {
        const std::string range = reply.header("content-range");  // bytes a-b/size
        const auto dash = range.find('-');
        const auto slash = range.find('/');
        offset = base::parse_u64(range.substr(6, dash - 6)).value_or(UINT64_MAX);
        const auto last = base::parse_u64(range.substr(dash + 1, slash - dash - 1)).value_or(0);
        length = last - offset + 1;
        if (base::parse_u64(range.substr(slash + 1)) != size || last >= size) {
            stage_->report->violation(
                "I5", fmt::format("v{} of '{}' has {} bytes; Content-Range: {}", version, key, size,
                                  range));
            return;
        }
    }
    const std::uint64_t said = base::parse_u64(reply.header("content-length")).value_or(UINT64_MAX);
    if (said != length) {
        stage_->report->violation("I5", fmt::format("v{} of '{}': Content-Length {} instead of {}",
                                                    version, key, said, length));
        return;
    }
    if (request.method == "HEAD") return;
    const std::size_t at = first_difference(*facts.content, offset, reply.body);
    if (at != std::string::npos) {
        stage_->report->violation(
            "I5", fmt::format("v{} of '{}' ({} bytes): wrong bytes from offset {} on", version, key,
                              size, offset + at));
    }
}

Task<void> Worker::remove() {
    const std::string key = pick_key();
    S3Request request = to_key("DELETE", key);
    Intent intent;
    intent.change = Change::kDelete;
    if (chance(20)) {
        intent.if_match = some_etag(key);
        request.headers.emplace_back("if-match", '"' + intent.if_match + '"');
    }
    intent.text = fmt::format("worker {}: {}", number_, text_of(request));
    const bool conditional = !intent.if_match.empty();
    const OpId op = stage_->model->begin(key, std::move(intent));
    auto reply = co_await call(std::move(request), "delete");
    settle_write(op, reply, conditional);
}

Task<void> Worker::remove_many() {
    std::map<std::string, OpId> ops;
    std::string xml = "<Delete>";
    const std::uint64_t count = below(5) + 1;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::string key = pick_key();
        if (ops.contains(key)) continue;
        Intent intent;
        intent.change = Change::kDelete;
        intent.text = fmt::format("worker {}: DeleteObjects {}", number_, key);
        ops[key] = stage_->model->begin(key, std::move(intent));
        xml += "<Object><Key>" + key + "</Key></Object>";
    }
    xml += "</Delete>";
    S3Request request;
    request.method = "POST";
    request.bucket = kBucket;
    request.query.emplace_back("delete", "");
    request.headers.emplace_back(
        "content-md5", base::base64_encode(base::as_bytes(crypto::md5(base::as_bytes(xml)))));
    request.body = std::move(xml);
    auto reply = co_await call(std::move(request), "delete-objects");
    const auto deleted = xml_elements(reply.body, "Deleted");
    for (const auto& [key, op] : ops) {
        const bool done = reply.ok() && std::ranges::any_of(deleted, [&](const std::string& row) {
                              return xml_text(row, "Key") == key;
                          });
        if (done) {
            stage_->model->end(op, Told::kDone);
        } else if (reply.ok()) {
            if (stage_->healthy) {
                stage_->report->violation("I10", "DeleteObjects failed for a key: " + reply.body);
            }
            stage_->model->unknown(op);
        } else {
            settle_write(op, reply, false);
        }
    }
}

Task<void> Worker::copy() {
    Model& model = *stage_->model;
    const std::string source = pick_key();
    const std::string key = pick_key();
    const VersionNumber version = model.add_version({key, {}, {}, source, false});
    S3Request request = to_key("PUT", key);
    request.headers.emplace_back("x-amz-copy-source",
                                 fmt::format("{}/{}", kBucket, base::uri_encode(source, true)));
    request.headers.emplace_back("x-amz-metadata-directive", "REPLACE");
    request.headers.emplace_back("x-amz-tagging-directive", "REPLACE");
    request.headers.emplace_back("x-amz-meta-v", number_text(version));
    Intent intent;
    intent.change = Change::kPut;
    intent.value = {version, 0};
    intent.text = fmt::format("worker {}: v{} {}", number_, version, text_of(request));
    Intent reading;
    reading.text = fmt::format("worker {}: read for a copy to {}", number_, key);
    const OpId op = model.begin(key, std::move(intent));
    const OpId read = model.begin(source, std::move(reading));
    auto reply = co_await call(std::move(request), "copy");
    if (reply.status == 404) {
        model.refused(op);
        co_return model.end(read, Told::kDone, Model::is_absent);
    }
    std::string etag = xml_text(reply.body, "ETag");
    if (etag.size() > 2) etag = etag.substr(1, etag.size() - 2);
    if (reply.ok() && !etag.empty()) {
        model.end(read, Told::kDone, [&model, etag](const State& state) {
            return !state.absent() && (model.facts(state.version).etag == etag ||
                                       model.facts(state.version).etag.empty());
        });
        model.learn(version, etag);
        co_return model.end(op, Told::kDone);
    }
    model.unknown(read);
    if (reply.ok()) co_return model.unknown(op);  // an error document under a 200
    settle_write(op, reply, false);
}

Task<void> Worker::tag() {
    const std::string key = pick_key();
    const auto number = static_cast<std::uint32_t>(below(1000) + 1);
    const bool erase = chance(25);
    S3Request request = to_key(erase ? "DELETE" : "PUT", key);
    request.query.emplace_back("tagging", "");
    if (!erase) {
        request.body = fmt::format(
            "<Tagging><TagSet><Tag><Key>t</Key><Value>{}</Value></Tag></TagSet></Tagging>", number);
        request.headers.emplace_back(
            "content-md5",
            base::base64_encode(base::as_bytes(crypto::md5(base::as_bytes(request.body)))));
    }
    Intent intent;
    intent.change = Change::kTag;
    intent.value.tag = erase ? 0 : number;
    intent.text =
        fmt::format("worker {}: tags t={} {}", number_, intent.value.tag, text_of(request));
    const OpId op = stage_->model->begin(key, std::move(intent));
    auto reply = co_await call(std::move(request), "put-tags");
    settle_write(op, reply, true);
}

Task<void> Worker::get_tags() {
    const std::string key = pick_key();
    S3Request request = to_key("GET", key);
    request.query.emplace_back("tagging", "");
    Intent intent;
    intent.text = fmt::format("worker {}: {}", number_, text_of(request));
    const OpId op = stage_->model->begin(key, std::move(intent));
    auto reply = co_await call(std::move(request), "get-tags");
    if (reply.status == 404) co_return stage_->model->end(op, Told::kDone, Model::is_absent);
    if (!reply.ok()) {
        (void)excused(reply, "GET tagging");
        co_return stage_->model->unknown(op);
    }
    const auto tag = base::parse_u64(xml_text(reply.body, "Value")).value_or(0);
    stage_->model->end(op, Told::kDone,
                       [tag](const State& state) { return !state.absent() && state.tag == tag; });
}

Task<void> Worker::make_bucket() {
    while (!stage_->report->failed() && !stage_->stop) {
        S3Request request;
        request.method = "PUT";
        request.bucket = kBucket;
        auto reply = co_await call(std::move(request), "create-bucket");
        if (reply.ok() || reply.status == 409) break;
        co_await stage_->world->clock.sleep(std::chrono::milliseconds(50));
    }
    client_.disconnect();
}

}  // namespace hamster::simulation
