// HTTP/1.1 replies as the load generator reads them. Lenient: it measures servers, it does not
// judge them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace hamster::cli::bench {

struct ReplyHead {
    unsigned status = 0;
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
    bool keep_alive = true;
    std::size_t bytes = 0;  // of the head, with its empty line
};

// nullopt: not complete yet. kInvalid: this is no HTTP.
Result<std::optional<ReplyHead>> parse_head(std::string_view text);

// Takes the frame of a body away, as it arrives in pieces.
class BodyReader {
  public:
    // `has_body`: false for the reply to HEAD, whatever its head says.
    BodyReader(const ReplyHead& head, bool has_body);
    [[nodiscard]] bool is_done() const { return state_ == State::kDone; }
    // Ends only with the connection.
    [[nodiscard]] bool is_until_close() const { return state_ == State::kUntilClose; }

    struct Piece {
        std::size_t taken = 0;  // bytes of the input that are used up
        base::Bytes content;    // part of the input; may be empty
    };
    // Call again with what is left until is_done() or `taken` is 0: then more input is needed.
    Result<Piece> next(base::Bytes input);

  private:
    enum class State : std::uint8_t {
        kPlain,
        kChunkSize,
        kChunk,
        kChunkEnd,
        kTrailers,
        kUntilClose,
        kDone
    };
    Result<Piece> next_line(std::string_view input);

    State state_;
    std::uint64_t left_ = 0;  // of the body, or of the chunk
};

// The text between <name> and </name>, the first of them; empty when there is none.
std::string_view xml_text(std::string_view xml, std::string_view name);
std::size_t count_of(std::string_view text, std::string_view what);
// The five entities of XML.
std::string xml_unescape(std::string_view text);

}  // namespace hamster::cli::bench
