#include "s3/aws_chunks.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "base/encoding.h"

namespace hamster::s3 {

namespace {

constexpr std::size_t kMaxLine = 1024;          // bytes of a chunk header or trailer line
constexpr std::size_t kMaxTrailerBytes = 4096;  // all trailers together
constexpr std::string_view kSignatureName = ";chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature";

bool same(std::string_view a, std::string_view b) {
    return crypto::equal_constant_time(base::as_bytes(a), base::as_bytes(b));
}

std::unexpected<S3Error> broken() {
    return refuse(ErrorCode::kIncompleteBody, "The request body terminated unexpectedly");
}

}  // namespace

AwsChunks::AwsChunks(const PayloadPlan& plan)
    : mode_(plan.mode),
      seed_(plan.seed),
      announced_(plan.trailers),
      decoded_left_(plan.length.value_or(0)) {
    HAMSTER_ASSERT(is_streaming(mode_));
    if (has_signed_chunks(mode_)) hash_.emplace(crypto::DigestKind::kSha256);
}

S3Result<std::size_t> AwsChunks::framing(std::string_view input) {
    std::size_t used = 0;
    while (used < input.size() && state_ != State::kPayload && state_ != State::kDone) {
        line_ += input[used++];
        if (line_.size() > kMaxLine) return broken();
        // Some clients end a trailer with a bare LF before the CRLF; it belongs to the line.
        if (!line_.ends_with("\r\n")) continue;
        std::string line;
        line.swap(line_);
        line.resize(line.size() - 2);
        if (auto ended = end_line(line); !ended) return std::unexpected(ended.error());
    }
    return used;
}

S3Result<> AwsChunks::end_line(std::string_view line) {
    switch (state_) {
        case State::kHeader:
            return chunk_header(line);
        case State::kAfterPayload:
            if (!line.empty()) return broken();
            state_ = last_ ? State::kDone : State::kHeader;
            return last_ ? S3Result<>() : check_chunk_signature();
        default:
            return trailer_line(line);
    }
}

S3Result<> AwsChunks::chunk_header(std::string_view line) {
    const std::size_t size_end = std::min(line.find(';'), line.size());
    const std::string_view digits = line.substr(0, size_end);
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + size_end, left_, 16);
    if (digits.empty() || digits.size() > 16 || error != std::errc() ||
        stop != digits.data() + size_end) {
        return broken();
    }
    std::string_view extension = line.substr(size_end);
    if (has_signed_chunks(mode_)) {
        if (!extension.starts_with(kSignatureName))
            return refuse(ErrorCode::kSignatureDoesNotMatch);
        chunk_signature_ = extension.substr(kSignatureName.size());
    } else if (!extension.empty()) {
        return broken();
    }
    if (left_ > decoded_left_) return broken();
    decoded_left_ -= left_;
    last_ = left_ == 0;
    if (!last_) {
        state_ = State::kPayload;
        return {};
    }
    if (decoded_left_ != 0) return broken();
    if (auto checked = check_chunk_signature(); !checked) return checked;
    // Without a trailer the final chunk ends like any other.
    state_ = has_trailer(mode_) ? State::kTrailer : State::kAfterPayload;
    return {};
}

void AwsChunks::took_payload(base::Bytes bytes) {
    HAMSTER_ASSERT(state_ == State::kPayload && bytes.size() <= left_, bytes.size(), left_);
    if (hash_) hash_->update(bytes);
    left_ -= bytes.size();
    if (left_ == 0) state_ = State::kAfterPayload;
}

S3Result<> AwsChunks::check_chunk_signature() {
    if (!hash_) return {};
    const std::string data_hash = base::hex_encode(base::as_bytes(hash_->finish()));
    const std::string expected = sign(
        seed_.key, chunk_string_to_sign(seed_.amz_date, seed_.scope, seed_.signature, data_hash));
    if (!same(expected, chunk_signature_)) return refuse(ErrorCode::kSignatureDoesNotMatch);
    seed_.signature = chunk_signature_;
    return {};
}

S3Result<> AwsChunks::trailer_line(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    trailer_bytes_ += line.size() + 2;
    if (trailer_bytes_ > kMaxTrailerBytes) return refuse(ErrorCode::kMalformedTrailer);
    if (line.empty()) return finish();
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return refuse(ErrorCode::kMalformedTrailer);
    std::string name(line.substr(0, colon));
    for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    while (value.ends_with(' ')) value.remove_suffix(1);
    // The signature comes last, and only once.
    if (trailer_signature_) return refuse(ErrorCode::kMalformedTrailer);
    if (name == kTrailerSignature) {
        if (mode_ != PayloadMode::kSignedTrailer) return refuse(ErrorCode::kMalformedTrailer);
        trailer_signature_ = value;
        return {};
    }
    const bool expected = std::ranges::find(announced_, name) != announced_.end();
    const bool repeated =
        std::ranges::any_of(trailers_, [&](const auto& t) { return t.first == name; });
    if (!expected || repeated) return refuse(ErrorCode::kMalformedTrailer);
    trailers_.emplace_back(std::move(name), value);
    return {};
}

S3Result<> AwsChunks::finish() {
    if (trailers_.size() != announced_.size()) return refuse(ErrorCode::kMalformedTrailer);
    if (mode_ == PayloadMode::kSignedTrailer) {
        if (!trailer_signature_) return refuse(ErrorCode::kMalformedTrailer);
        std::string canonical;
        for (const auto& [name, value] : trailers_) canonical += name + ":" + value + "\n";
        const std::string expected =
            sign(seed_.key, trailer_string_to_sign(seed_.amz_date, seed_.scope, seed_.signature,
                                                   sha256_hex(canonical)));
        if (!same(expected, *trailer_signature_)) {
            return refuse(ErrorCode::kSignatureDoesNotMatch);
        }
    }
    state_ = State::kDone;
    return {};
}

}  // namespace hamster::s3
