// The date formats of encoding.h. Calendar arithmetic only; nothing here reads a clock.
#include <fmt/format.h>

#include <array>
#include <chrono>

#include "base/encoding.h"

namespace hamster::base {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Civil {
    unsigned year = 0;
    unsigned month = 1;  // 1..12
    unsigned day = 1;
    unsigned hour = 0;
    unsigned minute = 0;
    unsigned second = 0;
    unsigned millis = 0;
    unsigned weekday = 0;  // 0 is Sunday
};

// 9999-12-31T23:59:59.999Z: later times have no four-digit year.
constexpr std::uint64_t kMaxUnixMs = 253402300799999;

Civil civil_of(std::uint64_t unix_ms) {
    unix_ms = std::min(unix_ms, kMaxUnixMs);
    const auto days = static_cast<int>(unix_ms / 86400000);
    const auto in_day = static_cast<unsigned>(unix_ms % 86400000);
    const std::chrono::sys_days date{std::chrono::days(days)};
    const std::chrono::year_month_day ymd(date);
    return {.year = static_cast<unsigned>(static_cast<int>(ymd.year())),
            .month = static_cast<unsigned>(ymd.month()),
            .day = static_cast<unsigned>(ymd.day()),
            .hour = in_day / 3600000,
            .minute = in_day / 60000 % 60,
            .second = in_day / 1000 % 60,
            .millis = in_day % 1000,
            .weekday = std::chrono::weekday(date).c_encoding()};
}

// Milliseconds since 1970, negative before; nullopt for a date that does not exist. Second 60 is
// accepted, as RFC 7231 does, and means the first second of the next minute.
std::optional<std::int64_t> unix_ms_of(const Civil& c) {
    const std::chrono::year_month_day ymd(std::chrono::year(static_cast<int>(c.year)),
                                          std::chrono::month(c.month), std::chrono::day(c.day));
    if (!ymd.ok() || c.hour > 23 || c.minute > 59 || c.second > 60) return std::nullopt;
    const std::int64_t days = std::chrono::sys_days(ymd).time_since_epoch().count();
    const std::int64_t seconds =
        days * 86400 + static_cast<std::int64_t>(c.hour * 3600 + c.minute * 60 + c.second);
    return seconds * 1000 + c.millis;
}

std::optional<std::uint64_t> after_1970(const Civil& c) {
    const std::optional<std::int64_t> ms = unix_ms_of(c);
    if (!ms || *ms < 0 || c.second > 59) return std::nullopt;
    return static_cast<std::uint64_t>(*ms);
}

// Consumes a text from the left; after the first mismatch ok() is false for good.
class Scanner {
  public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    Scanner& literal(std::string_view expected) {
        ok_ = ok_ && rest_.starts_with(expected);
        if (ok_) rest_.remove_prefix(expected.size());
        return *this;
    }
    // Exactly `count` decimal digits.
    Scanner& digits(std::size_t count, unsigned* out) {
        ok_ = ok_ && rest_.size() >= count;
        *out = 0;
        for (std::size_t i = 0; ok_ && i < count; ++i) {
            ok_ = rest_[i] >= '0' && rest_[i] <= '9';
            *out = *out * 10 + static_cast<unsigned>(rest_[i] - '0');
        }
        if (ok_) rest_.remove_prefix(count);
        return *this;
    }
    // One of `names`; *out is its index.
    template <std::size_t N>
    Scanner& name(const std::array<std::string_view, N>& names, unsigned* out) {
        for (unsigned i = 0; ok_ && i < N; ++i) {
            if (rest_.starts_with(names[i])) {
                *out = i;
                rest_.remove_prefix(names[i].size());
                return *this;
            }
        }
        ok_ = false;
        return *this;
    }
    Scanner& month(unsigned* out) {
        name(kMonths, out);
        *out += 1;
        return *this;
    }
    Scanner& clock(Civil* c) {
        return digits(2, &c->hour)
            .literal(":")
            .digits(2, &c->minute)
            .literal(":")
            .digits(2, &c->second);
    }
    // ".5" or nothing.
    Scanner& fraction(unsigned* millis) {
        if (!ok_ || !rest_.starts_with('.')) return *this;
        rest_.remove_prefix(1);
        unsigned scale = 100;
        std::size_t length = 0;
        while (length < rest_.size() && rest_[length] >= '0' && rest_[length] <= '9') {
            *millis += static_cast<unsigned>(rest_[length] - '0') * scale;
            scale /= 10;
            ++length;
        }
        ok_ = length > 0;
        rest_.remove_prefix(length);
        return *this;
    }
    [[nodiscard]] bool peek(char c) const { return ok_ && rest_.starts_with(c); }
    [[nodiscard]] bool finished() const { return ok_ && rest_.empty(); }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

// Sun, 06 Nov 1994 08:49:37 GMT
bool scan_imf(std::string_view text, Civil* c) {
    Scanner scan(text);
    scan.name(kDays, &c->weekday).literal(", ").digits(2, &c->day).literal(" ").month(&c->month);
    scan.literal(" ").digits(4, &c->year).literal(" ").clock(c).literal(" GMT");
    return scan.finished();
}

// Sunday, 06-Nov-94 08:49:37 GMT. The RFC's window depends on today; a fixed one (1970-2069)
// keeps this pure, and nothing has sent this form for decades.
bool scan_rfc850(std::string_view text, Civil* c) {
    Scanner scan(text);
    scan.name(kLongDays, &c->weekday).literal(", ").digits(2, &c->day).literal("-");
    scan.month(&c->month).literal("-").digits(2, &c->year).literal(" ").clock(c).literal(" GMT");
    c->year += c->year >= 70 ? 1900 : 2000;
    return scan.finished();
}

// Sun Nov  6 08:49:37 1994
bool scan_asctime(std::string_view text, Civil* c) {
    Scanner scan(text);
    scan.name(kDays, &c->weekday).literal(" ").month(&c->month).literal(" ");
    if (scan.peek(' ')) {
        scan.literal(" ").digits(1, &c->day);
    } else {
        scan.digits(2, &c->day);
    }
    scan.literal(" ").clock(c).literal(" ").digits(4, &c->year);
    return scan.finished();
}

}  // namespace

// By hand: a listing prints one for every key.
std::string iso8601(std::uint64_t unix_ms) {
    const Civil c = civil_of(unix_ms);
    std::string out = "0000-00-00T00:00:00.000Z";
    const auto put = [&out](std::size_t at, std::size_t digits, std::uint64_t value) {
        for (std::size_t i = digits; i-- > 0; value /= 10) {
            out[at + i] = static_cast<char>('0' + value % 10);
        }
    };
    put(0, 4, static_cast<std::uint64_t>(c.year));
    put(5, 2, static_cast<std::uint64_t>(c.month));
    put(8, 2, static_cast<std::uint64_t>(c.day));
    put(11, 2, static_cast<std::uint64_t>(c.hour));
    put(14, 2, static_cast<std::uint64_t>(c.minute));
    put(17, 2, static_cast<std::uint64_t>(c.second));
    put(20, 3, static_cast<std::uint64_t>(c.millis));
    return out;
}

std::string http_date(std::uint64_t unix_ms) {
    const Civil c = civil_of(unix_ms);
    return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[c.weekday], c.day,
                       kMonths[c.month - 1], c.year, c.hour, c.minute, c.second);
}

std::optional<std::uint64_t> parse_http_date(std::string_view text) {
    for (const auto scan : {scan_imf, scan_rfc850, scan_asctime}) {
        Civil c;
        if (!scan(text, &c)) continue;
        const std::optional<std::int64_t> ms = unix_ms_of(c);
        if (!ms) return std::nullopt;
        return *ms < 0 ? 0 : static_cast<std::uint64_t>(*ms);
    }
    return std::nullopt;
}

std::string amz_date(std::uint64_t unix_ms) {
    const Civil c = civil_of(unix_ms);
    return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute,
                       c.second);
}

std::optional<std::uint64_t> parse_amz_date(std::string_view text) {
    Civil c;
    Scanner scan(text);
    scan.digits(4, &c.year).digits(2, &c.month).digits(2, &c.day).literal("T");
    scan.digits(2, &c.hour).digits(2, &c.minute).digits(2, &c.second).literal("Z");
    return scan.finished() ? after_1970(c) : std::nullopt;
}

std::optional<std::uint64_t> parse_iso8601(std::string_view text) {
    Civil c;
    Scanner scan(text);
    scan.digits(4, &c.year).literal("-").digits(2, &c.month).literal("-").digits(2, &c.day);
    scan.literal("T").clock(&c).fraction(&c.millis).literal("Z");
    return scan.finished() ? after_1970(c) : std::nullopt;
}

}  // namespace hamster::base
