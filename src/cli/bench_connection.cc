#include "cli/bench_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace hamster::cli::bench {

using runtime::Micros;
using runtime::Task;

namespace {

constexpr std::size_t kSmallInput = 64 << 10;  // bytes of the read buffer
constexpr std::size_t kLargeInput = 256 << 10;
constexpr std::size_t kSendAtOnce = 8 << 20;  // bytes per write
constexpr std::size_t kMaxKept = 16 << 20;  // bytes; a page of 1,000 listed keys has at most 4 MiB
// A server that is silent for so long has failed the request.
constexpr Micros kPatience = std::chrono::seconds(120);

std::string text_of(const Error& error) {
    switch (error.code) {
        case Code::kClosed:
            return "connection closed";
        case Code::kTimeout:
            return "timeout";
        default:
            return error.context;
    }
}

bool is_success(unsigned status) { return status >= 200 && status < 300; }

}  // namespace

Connection::Connection(runtime::World* world, const Options* options, const Content* content,
                       Signer* signer, std::string address)
    : world_(world),
      options_(options),
      content_(content),
      signer_(signer),
      address_(std::move(address)),
      in_(options->size > kLargeInput ? kLargeInput : kSmallInput) {}

Task<Result<void>> Connection::connect() {
    in_.resize(0);
    used_ = 0;
    const runtime::Time deadline = world_->clock.now() + kPatience;
    if (options_->endpoint.tls) {
        runtime::TlsTarget target;
        target.address = address_;
        target.server_name = options_->endpoint.host;
        target.verify = !options_->insecure;
        auto secured = co_await world_->network.connect_tls(std::move(target), deadline);
        CO_TRY_ASSIGN(stream_, std::move(secured));
        co_return Result<void>{};
    }
    auto connected = co_await world_->network.connect(address_, deadline);
    CO_TRY_ASSIGN(stream_, std::move(connected));
    co_return Result<void>{};
}

Task<Outcome> Connection::exchange(const Request* request) {
    Outcome outcome;
    // A server may close an idle connection just as the next request leaves: that one is sent
    // again, once, on a new connection.
    const bool reused = stream_ != nullptr;
    auto done = co_await attempt(request, &outcome);
    if (!done && reused && !answered_ && done.error().code == Code::kClosed) {
        stream_.reset();
        outcome = {};
        done = co_await attempt(request, &outcome);
    }
    if (!done) {
        stream_.reset();
        outcome.error = text_of(done.error());
    } else if (!is_success(outcome.status)) {
        const std::string_view code = xml_text(kept_, "Code");
        outcome.error = fmt::format("{}{}{}", outcome.status, code.empty() ? "" : " ", code);
    }
    co_return outcome;
}

Task<Result<void>> Connection::attempt(const Request* request, Outcome* outcome) {
    answered_ = false;
    if (stream_ == nullptr) {
        auto connected = co_await connect();
        CO_TRY(connected);
    }
    stream_->set_deadline(world_->clock.now() + kPatience);
    auto sent = co_await send(request);
    // A server that refuses early answers, and then stops reading: the answer says more.
    if (!sent && request->sends_object == 0) co_return sent;
    auto answer = co_await read_head();
    if (!answer) co_return sent ? std::unexpected(answer.error()) : sent;
    outcome->status = answer->status;
    auto read = co_await read_body(request, *answer, outcome);
    CO_TRY(read);
    if (sent && is_success(outcome->status)) outcome->bytes += request->sends_object;
    if (!sent || !answer->keep_alive) stream_.reset();
    co_return Result<void>{};
}

Task<Result<void>> Connection::send(const Request* request) {
    const bool has_object = request->sends_object > 0;
    head_.clear();
    const std::string own_hash =
        request->body.empty() ? std::string(s3::kEmptySha256) : s3::sha256_hex(request->body);
    signer_->append_head(&head_, *request,
                         has_object ? content_->sha256(request->object) : own_hash,
                         world_->clock.unix_ms());
    std::vector<base::Bytes> pieces = {base::as_bytes(head_)};
    if (!request->body.empty()) pieces.push_back(base::as_bytes(request->body));
    std::uint64_t offset = 0;
    do {
        const std::uint64_t end =
            std::min<std::uint64_t>(offset + kSendAtOnce, request->sends_object);
        while (offset < end) {
            pieces.push_back(content_->at(request->object, offset, end - offset));
            offset += pieces.back().size();
        }
        auto written = co_await stream_->write(std::move(pieces));
        CO_TRY(written);
        pieces.clear();
        if (has_object) stream_->set_deadline(world_->clock.now() + kPatience);
    } while (offset < request->sends_object);
    co_return Result<void>{};
}

// At least one more byte after what is unused; 0 at the end of the stream.
Task<Result<std::size_t>> Connection::fill() {
    if (used_ > 0) {
        const std::size_t unused = in_.size() - used_;
        std::memmove(in_.data(), in_.data() + used_, unused);
        in_.resize(unused);
        used_ = 0;
    }
    if (in_.size() == in_.capacity())
        co_return fail(Code::kInvalid, "the reply's head is too long");
    auto read = co_await stream_->read_some(in_.spare());
    CO_TRY_ASSIGN(const std::size_t n, std::move(read));
    in_.resize(in_.size() + n);
    answered_ = answered_ || n > 0;
    co_return n;
}

Task<Result<ReplyHead>> Connection::read_head() {
    for (;;) {
        CO_TRY_ASSIGN(const auto head, parse_head(base::as_text(in_.bytes().subspan(used_))));
        if (head) {
            used_ += head->bytes;
            if (head->status >= 200) co_return *head;
            continue;  // 100 Continue and its like
        }
        auto filled = co_await fill();
        CO_TRY_ASSIGN(const std::size_t n, std::move(filled));
        if (n == 0) co_return fail(Code::kClosed, "no reply");
    }
}

Task<Result<void>> Connection::read_body(const Request* request, ReplyHead head, Outcome* outcome) {
    kept_.clear();
    BodyReader reader(head, request->op != Op::kStat);
    const bool is_object = request->op == Op::kGet && is_success(head.status);
    while (!reader.is_done()) {
        CO_TRY_ASSIGN(const BodyReader::Piece piece, reader.next(in_.bytes().subspan(used_)));
        CO_TRY(take(*request, piece.content, is_object, outcome));
        used_ += piece.taken;
        if (piece.taken > 0 || reader.is_done()) continue;
        auto filled = co_await fill();
        CO_TRY_ASSIGN(const std::size_t n, std::move(filled));
        if (n == 0 && reader.is_until_close()) break;
        if (n == 0) co_return fail(Code::kClosed, "half a reply");
    }
    if (reader.is_until_close()) stream_.reset();
    const bool checks_length = is_object && (options_->path.empty() || options_->size > 0);
    if (checks_length && outcome->bytes != options_->size) {
        co_return fail(Code::kCorrupt, fmt::format("wrong length: {} bytes", outcome->bytes));
    }
    co_return Result<void>{};
}

Result<void> Connection::take(const Request& request, base::Bytes content, bool is_object,
                              Outcome* outcome) {
    if (!is_object) {
        if (kept_.size() + content.size() > kMaxKept) {
            return fail(Code::kTooLarge, "an endless reply");
        }
        kept_ += base::as_text(content);
        return {};
    }
    for (std::size_t done = 0; options_->verify && done < content.size();) {
        const base::Bytes wanted =
            content_->at(request.object, outcome->bytes + done, content.size() - done);
        if (std::memcmp(wanted.data(), content.data() + done, wanted.size()) != 0) {
            return fail(Code::kCorrupt, "wrong content");
        }
        done += wanted.size();
    }
    outcome->bytes += content.size();
    return {};
}

}  // namespace hamster::cli::bench
