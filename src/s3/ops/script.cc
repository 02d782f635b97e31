#include "s3/ops/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace hamster::s3::ops::script {

namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// "Name: value" -> both; the value may be empty.
std::pair<std::string, std::string> split_header(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return {std::string(text), {}};
    return {std::string(text.substr(0, colon)), std::string(trimmed(text.substr(colon + 1)))};
}

class Parser {
  public:
    explicit Parser(std::string* problem) : problem_(problem) {}

    void line(std::string_view text) {
        ++number_;
        if (text.empty() || text.starts_with('#')) return;
        if (text.starts_with("@ ")) {
            cases_.push_back({std::string(text.substr(2)), "us-east-1", {}});
            user_ = "root";
            in_request_ = false;
        } else if (cases_.empty()) {
            complain("a line before the first case");
        } else if (text.starts_with("as ")) {
            user_ = text.substr(3);
        } else if (text.starts_with("region ")) {
            cases_.back().region = text.substr(7);
        } else if (text.starts_with("wait ")) {
            wait_ms_ += number(text.substr(5)).value_or(0);
        } else if (text.starts_with('>')) {
            request(text.substr(1));
        } else if (text.starts_with('<')) {
            response(text.substr(1));
        } else {
            complain("a line that is nothing");
        }
    }
    std::vector<Case> take() { return std::move(cases_); }

  private:
    void complain(const char* what) {
        if (problem_->empty()) *problem_ = fmt::format("line {}: {}", number_, what);
    }
    Exchange& current() { return cases_.back().exchanges.back(); }

    void request(std::string_view text) {
        if (!in_request_ || cases_.back().exchanges.empty()) return begin(trimmed(text));
        if (text.starts_with("> ") || text == ">") {
            if (has_body_) current().body += '\n';
            has_body_ = true;
            current().body += text.size() > 2 ? text.substr(2) : std::string_view();
        } else if (text.starts_with("* ")) {
            const auto space = text.find(' ', 2);
            const auto count = number(text.substr(2, space - 2));
            if (!count || space == std::string_view::npos) return complain("a bad body");
            current().body.append(*count, text[space + 1]);
        } else {
            current().headers.push_back(split_header(trimmed(text)));
        }
    }
    void begin(std::string_view text) {
        const auto space = text.find(' ');
        if (space == std::string_view::npos) return complain("a bad request line");
        Exchange exchange;
        exchange.line = number_;
        exchange.user = user_;
        exchange.wait_ms = std::exchange(wait_ms_, 0);
        exchange.method = text.substr(0, space);
        exchange.target = text.substr(space + 1);
        cases_.back().exchanges.push_back(std::move(exchange));
        in_request_ = true;
        has_body_ = false;
    }
    void response(std::string_view text) {
        if (cases_.back().exchanges.empty()) return complain("a response without a request");
        Exchange& exchange = current();
        if (in_request_) {
            const auto status = number(trimmed(text));
            if (!status) return complain("a bad status");
            exchange.status = static_cast<int>(*status);
            in_request_ = false;
        } else if (text.starts_with('<')) {
            exchange.xml = exchange.xml.value_or("") + std::string(trimmed(text.substr(1)));
        } else if (text.starts_with('=')) {
            const std::string_view more = text.size() > 2 ? text.substr(2) : std::string_view();
            exchange.text = (exchange.text ? *exchange.text + "\n" : "") + std::string(more);
        } else if (text.starts_with("!~")) {
            exchange.lacks.emplace_back(trimmed(text.substr(2)));
        } else if (text.starts_with('~')) {
            exchange.holds.emplace_back(trimmed(text.substr(1)));
        } else if (text.starts_with('#')) {
            exchange.size = number(trimmed(text.substr(1)));
        } else if (trimmed(text).starts_with('!')) {
            exchange.absent_headers.emplace_back(trimmed(text).substr(1));
        } else {
            exchange.expected_headers.push_back(split_header(trimmed(text)));
        }
    }

    std::string* problem_;
    std::vector<Case> cases_;
    std::string user_ = "root";
    std::uint64_t wait_ms_ = 0;
    int number_ = 0;
    bool in_request_ = false;
    bool has_body_ = false;
};

struct Piece {
    bool is_hole = false;
    std::string text;  // literal, or the hole's name
};

std::vector<Piece> pieces_of(std::string_view pattern) {
    std::vector<Piece> out;
    while (!pattern.empty()) {
        const auto open = pattern.find('{');
        const auto close = open == std::string_view::npos ? open : pattern.find('}', open);
        if (close == std::string_view::npos) {
            out.push_back({false, std::string(pattern)});
            break;
        }
        if (open > 0) out.push_back({false, std::string(pattern.substr(0, open))});
        out.push_back({true, std::string(pattern.substr(open + 1, close - open - 1))});
        pattern.remove_prefix(close + 1);
    }
    return out;
}

bool is_hole_text(std::string_view text) { return text.find('<') == std::string_view::npos; }

// Matches pieces[at..] at the front of `actual`; `whole`: nothing may be left.
bool match_from(const std::vector<Piece>& pieces, std::size_t at, std::string_view actual,
                bool whole, Captures& captures) {
    if (at == pieces.size()) return !whole || actual.empty();
    const Piece& piece = pieces[at];
    const auto known = piece.is_hole ? captures.find(piece.text) : captures.end();
    if (!piece.is_hole || known != captures.end()) {
        const std::string& literal = piece.is_hole ? known->second : piece.text;
        return actual.starts_with(literal) &&
               match_from(pieces, at + 1, actual.substr(literal.size()), whole, captures);
    }
    for (std::size_t n = 0; n <= actual.size(); ++n) {
        if (n > 0 && actual[n - 1] == '<') return false;
        Captures tried = captures;
        if (piece.text != "*") tried[piece.text] = actual.substr(0, n);
        if (match_from(pieces, at + 1, actual.substr(n), whole, tried)) {
            captures = std::move(tried);
            return is_hole_text(actual.substr(0, n));
        }
    }
    return false;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

const std::string* find_header(const Actual& actual, std::string_view name) {
    for (const auto& [have, value] : actual.headers) {
        if (lower(have) == lower(name)) return &value;
    }
    return nullptr;
}

std::string_view without_declaration(std::string_view body) {
    if (!body.starts_with("<?xml")) return body;
    const auto end = body.find("?>");
    if (end == std::string_view::npos) return body;
    body.remove_prefix(end + 2);
    while (body.starts_with('\n')) body.remove_prefix(1);
    return body;
}

std::string compare_headers(const Exchange& exchange, const Actual& actual, Captures& captures) {
    std::string out;
    for (const auto& [name, value] : exchange.expected_headers) {
        const std::string* found = find_header(actual, name);
        if (found == nullptr) {
            out += fmt::format("header {} is missing\n", name);
        } else if (!matches(value, *found, captures)) {
            out += fmt::format("header {}: expected \"{}\", got \"{}\"\n", name, value, *found);
        }
    }
    for (const std::string& name : exchange.absent_headers) {
        if (const std::string* found = find_header(actual, name)) {
            out += fmt::format("header {} must be absent, got \"{}\"\n", name, *found);
        }
    }
    return out;
}

std::string compare_body(const Exchange& exchange, const Actual& actual, Captures& captures) {
    const std::string_view body = without_declaration(actual.body);
    const std::string shown = std::string(body.substr(0, 2000));
    std::string out;
    if (exchange.xml && !matches(*exchange.xml, body, captures)) {
        out += fmt::format("body: expected\n  {}\ngot\n  {}\n", *exchange.xml, shown);
    }
    if (exchange.text && !matches(*exchange.text, actual.body, captures)) {
        out += fmt::format("body: expected \"{}\", got \"{}\"\n", *exchange.text, shown);
    }
    if (exchange.size && *exchange.size != actual.body.size()) {
        out += fmt::format("body: expected {} bytes, got {}\n", *exchange.size, actual.body.size());
    }
    for (const std::string& pattern : exchange.holds) {
        if (!finds(pattern, body, captures)) {
            out += fmt::format("body: expected to hold {}, got\n  {}\n", pattern, shown);
        }
    }
    for (const std::string& text : exchange.lacks) {
        if (finds(text, body, captures)) {
            out += fmt::format("body: must not hold {}, got\n  {}\n", text, shown);
        }
    }
    const bool expects_any =
        exchange.xml || exchange.text || exchange.size || !exchange.holds.empty();
    if (!expects_any && exchange.lacks.empty() && !body.empty()) {
        out += fmt::format("body: expected none, got\n  {}\n", shown);
    }
    return out;
}

}  // namespace

std::vector<Case> parse(std::string_view text, std::string* problem) {
    Parser parser(problem);
    while (!text.empty()) {
        const auto end = text.find('\n');
        parser.line(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
    return parser.take();
}

std::string fill_in(std::string_view text, const Captures& captures) {
    std::string out;
    for (const Piece& piece : pieces_of(text)) {
        const auto known = piece.is_hole ? captures.find(piece.text) : captures.end();
        if (!piece.is_hole) {
            out += piece.text;
        } else if (known != captures.end()) {
            out += known->second;
        } else {
            out += '{' + piece.text + '}';
        }
    }
    return out;
}

bool matches(std::string_view pattern, std::string_view actual, Captures& captures) {
    return match_from(pieces_of(pattern), 0, actual, true, captures);
}

bool finds(std::string_view pattern, std::string_view actual, Captures& captures) {
    const std::vector<Piece> pieces = pieces_of(pattern);
    for (std::size_t at = 0; at <= actual.size(); ++at) {
        if (match_from(pieces, 0, actual.substr(at), false, captures)) return true;
    }
    return false;
}

std::string compare(const Exchange& exchange, const Actual& actual, Captures& captures) {
    std::string out;
    if (exchange.status != actual.status) {
        out += fmt::format("expected status {}, got {}\n  {}\n", exchange.status, actual.status,
                           actual.body.substr(0, 600));
    }
    out += compare_headers(exchange, actual, captures);
    out += compare_body(exchange, actual, captures);
    return out;
}

}  // namespace hamster::s3::ops::script
