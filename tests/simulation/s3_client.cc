#include "s3_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "s3/payload.h"

namespace hamster::simulation {

namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::size_t kChunkBytes = 64 * 1024;

std::string crc32_base64(std::string_view body) {
    return base::base64_encode(
        base::as_bytes(crypto::digest_of(crypto::DigestKind::kCrc32, base::as_bytes(body))));
}

std::string unsigned_chunks(std::string_view body, std::string_view crc) {
    std::string out;
    for (std::size_t at = 0; at < body.size(); at += kChunkBytes) {
        const std::string_view chunk = body.substr(at, kChunkBytes);
        out += fmt::format("{:x}\r\n", chunk.size());
        out += chunk;
        out += "\r\n";
    }
    out += fmt::format("0\r\nx-amz-checksum-crc32:{}\r\n\r\n", crc);
    return out;
}

struct ChunkSigner {
    std::string key;
    std::string date;
    s3::Scope scope;
    std::string previous;

    std::string sign(std::string_view data) {
        previous =
            s3::sign(key, s3::chunk_string_to_sign(date, scope, previous, s3::sha256_hex(data)));
        return previous;
    }
};

std::string signed_chunks(std::string_view body, ChunkSigner signer) {
    std::string out;
    for (std::size_t at = 0; at < body.size(); at += kChunkBytes) {
        const std::string_view chunk = body.substr(at, kChunkBytes);
        out += fmt::format("{:x};chunk-signature={}\r\n", chunk.size(), signer.sign(chunk));
        out += chunk;
        out += "\r\n";
    }
    out += fmt::format("0;chunk-signature={}\r\n\r\n", signer.sign(""));
    return out;
}

std::size_t signed_chunks_length(std::size_t body) {
    constexpr std::size_t kSignature = 64;
    std::size_t length = fmt::format("0;chunk-signature=\r\n\r\n").size() + kSignature;
    for (std::size_t at = 0; at < body; at += kChunkBytes) {
        const std::size_t chunk = std::min(kChunkBytes, body - at);
        length += fmt::format("{:x};chunk-signature=\r\n\r\n", chunk).size() + kSignature + chunk;
    }
    return length;
}

std::string unescaped(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
        {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};
    std::string out;
    while (!text.empty()) {
        bool found = false;
        for (const auto& [entity, c] : kEntities) {
            if (!text.starts_with(entity)) continue;
            out += c;
            text.remove_prefix(entity.size());
            found = true;
            break;
        }
        if (found) continue;
        out += text.front();
        text.remove_prefix(1);
    }
    return out;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

}  // namespace

std::string S3Reply::header(std::string_view name) const {
    for (const auto& [n, value] : headers) {
        if (n == name) return value;
    }
    return {};
}

std::string S3Reply::code() const { return xml_text(body, "Code"); }

std::vector<std::string> xml_elements(std::string_view xml, std::string_view name) {
    std::vector<std::string> out;
    const std::string open = fmt::format("<{}>", name);
    const std::string close = fmt::format("</{}>", name);
    for (std::size_t at = 0;;) {
        const std::size_t begin = xml.find(open, at);
        if (begin == std::string_view::npos) return out;
        const std::size_t end = xml.find(close, begin);
        if (end == std::string_view::npos) return out;
        out.emplace_back(xml.substr(begin + open.size(), end - begin - open.size()));
        at = end + close.size();
    }
}

std::string xml_text(std::string_view xml, std::string_view name) {
    const auto all = xml_elements(xml, name);
    return all.empty() ? std::string() : unescaped(all.front());
}

S3Client::Wire S3Client::encode(const S3Request& request) const {
    s3::RequestHead head;
    head.method = request.method;
    head.raw_path = "/" + request.bucket;
    if (!request.key.empty()) head.raw_path += "/" + base::uri_encode(request.key, true);
    for (const auto& [name, value] : request.query) {
        head.query.push_back({name, value, !value.empty()});
    }
    head.headers.push_back({"host", "hamster.sim"});
    for (const auto& [name, value] : request.headers) head.headers.push_back({name, value});
    const bool streamed = request.mode == BodyMode::kTrailer ||
                          request.mode == BodyMode::kWrongTrailer ||
                          request.mode == BodyMode::kSignedChunks;
    std::string hash(s3::kUnsignedPayload);
    Wire wire;
    if (streamed) {
        head.headers.push_back({"content-encoding", "aws-chunked"});
        head.headers.push_back(
            {"x-amz-decoded-content-length", std::to_string(request.body.size())});
    }
    switch (request.mode) {
        case BodyMode::kUnsigned:
            wire.body = request.body;
            break;
        case BodyMode::kSigned:
            wire.body = request.body;
            hash = s3::sha256_hex(request.body);
            break;
        case BodyMode::kWrongHash:
            wire.body = request.body;
            hash = s3::sha256_hex(request.body + "x");
            break;
        case BodyMode::kTrailer:
        case BodyMode::kWrongTrailer: {
            hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
            head.headers.push_back({"x-amz-trailer", "x-amz-checksum-crc32"});
            const bool wrong = request.mode == BodyMode::kWrongTrailer;
            wire.body = unsigned_chunks(request.body,
                                        crc32_base64(wrong ? request.body + "x" : request.body));
            break;
        }
        case BodyMode::kSignedChunks:
            hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
            break;
    }
    const std::size_t length = request.mode == BodyMode::kSignedChunks
                                   ? signed_chunks_length(request.body.size())
                                   : wire.body.size();
    const bool has_body = request.method == "PUT" || request.method == "POST";
    if (has_body) head.headers.push_back({"content-length", std::to_string(length)});
    const std::uint64_t now_ms = static_cast<std::uint64_t>(
        static_cast<std::int64_t>(world_->clock.unix_ms()) + *server_offset_ms_);
    s3::sign_request(head, {std::string(kAccessKey), std::string(kSecretKey), "us-east-1"}, now_ms,
                     hash);
    if (request.mode == BodyMode::kSignedChunks) {
        ChunkSigner signer;
        signer.date = base::amz_date(now_ms);
        signer.scope = {signer.date.substr(0, 8), "us-east-1"};
        signer.key = s3::signing_key(kSecretKey, signer.scope);
        const std::string authorization(head.header("authorization").value_or(""));
        signer.previous = authorization.substr(authorization.rfind('=') + 1);
        wire.body = signed_chunks(request.body, std::move(signer));
    }
    if (request.expect_continue) head.headers.push_back({"expect", "100-continue"});
    wire.head = fmt::format("{} {} HTTP/1.1\r\n", head.method, s3::target_of(head));
    for (const s3::Header& header : head.headers) {
        wire.head += fmt::format("{}: {}\r\n", header.name, header.value);
    }
    wire.head += "\r\n";
    return wire;
}

Task<bool> S3Client::connect() {
    received_.clear();
    auto connected = co_await world_->network.connect(address_, world_->clock.now() + patience_);
    if (!connected) co_return false;
    stream_ = std::move(*connected);
    co_return true;
}

Task<bool> S3Client::send(std::string bytes, std::optional<std::uint64_t> abort_after) {
    std::uint64_t left = std::min<std::uint64_t>(bytes.size(), abort_after.value_or(UINT64_MAX));
    for (std::uint64_t at = 0; at < left;) {
        const std::uint64_t n = std::min<std::uint64_t>(kPieceBytes, left - at);
        std::vector<base::Bytes> pieces{base::as_bytes(std::string_view(bytes).substr(at, n))};
        auto written = co_await stream_->write(std::move(pieces));
        if (!written) co_return false;
        at += n;
    }
    co_return true;
}

Task<bool> S3Client::receive() {
    std::string room(kPieceBytes, '\0');
    const base::MutableBytes out(reinterpret_cast<std::byte*>(room.data()), room.size());
    auto got = co_await stream_->read_some(out);
    if (!got || *got == 0) co_return false;
    received_.append(room.data(), *got);
    co_return true;
}

Task<S3Reply> S3Client::read_reply(std::string method, std::optional<std::uint64_t> hang_up,
                                   runtime::Micros pause) {
    S3Reply reply;
    reply.sent = true;
    std::size_t end = std::string::npos;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
        const bool more = co_await receive();
        if (!more) co_return reply;
    }
    const std::string head = received_.substr(0, end);
    received_.erase(0, end + 4);
    std::size_t at = head.find("\r\n");
    const int status = std::atoi(head.c_str() + sizeof("HTTP/1.1"));
    while (at != std::string::npos) {
        const std::size_t begin = at + 2;
        at = head.find("\r\n", begin);
        const std::string line = head.substr(begin, at == std::string::npos ? at : at - begin);
        const std::size_t colon = line.find(": ");
        if (colon == std::string::npos) continue;
        reply.headers.emplace_back(lower(line.substr(0, colon)), line.substr(colon + 2));
    }
    const bool bodyless = method == "HEAD" || status == 204 || status == 304 || status == 100;
    const auto length = bodyless ? 0 : base::parse_u64(reply.header("content-length")).value_or(0);
    while (received_.size() < length) {
        if (hang_up && received_.size() >= *hang_up) {
            disconnect();
            co_return reply;
        }
        if (pause.count() > 0) co_await world_->clock.sleep(pause);
        const bool more = co_await receive();
        if (!more) co_return reply;
    }
    reply.body = received_.substr(0, length);
    received_.erase(0, length);
    reply.status = status;
    if (lower(reply.header("connection")) == "close") disconnect();
    co_return reply;
}

Task<S3Reply> S3Client::call(S3Request request) {
    const Wire wire = encode(request);
    S3Reply failed;
    if (!stream_) {
        const bool connected = co_await connect();
        if (!connected) co_return failed;
    }
    failed.sent = true;
    stream_->set_deadline(world_->clock.now() + patience_);
    std::string first = wire.head;
    std::optional<std::uint64_t> abort_after;
    if (request.abort_after) abort_after = wire.head.size() + *request.abort_after;
    if (request.expect_continue) {
        const bool sent = co_await send(first, {});
        if (!sent) {
            disconnect();
            co_return failed;
        }
        auto early = co_await read_reply("HEAD", {}, {});
        if (early.status != 100) {
            disconnect();  // its body, if any, is not told apart here
            co_return early;
        }
        first.clear();
        abort_after = request.abort_after;
    }
    first += wire.body;
    // A server that has seen enough answers before it has read everything.
    (void)co_await send(std::move(first), abort_after);
    if (abort_after) {
        disconnect();
        co_return failed;
    }
    auto reply = co_await read_reply(request.method, request.hang_up_reading, request.read_pause);
    if (reply.status == 0) disconnect();
    co_return reply;
}

}  // namespace hamster::simulation
