#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/property_test.h"

namespace hamster::base {
namespace {

constexpr std::uint64_t kRfcExample = 784111777000;  // 1994-11-06T08:49:37Z
constexpr std::uint64_t kLastMs = 253402300799999;

TEST(Dates, Format) {
    EXPECT_EQ(iso8601(1795358630123), "2026-11-22T14:43:50.123Z");
    EXPECT_EQ(http_date(1795358630123), "Sun, 22 Nov 2026 14:43:50 GMT");
    EXPECT_EQ(amz_date(1795358630123), "20261122T144350Z");
    EXPECT_EQ(iso8601(0), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(iso8601(951782399999), "2000-02-28T23:59:59.999Z");
    EXPECT_EQ(iso8601(951782400000), "2000-02-29T00:00:00.000Z");
    EXPECT_EQ(iso8601(4107542400000), "2100-03-01T00:00:00.000Z");
    EXPECT_EQ(iso8601(kLastMs), "9999-12-31T23:59:59.999Z");
    EXPECT_EQ(iso8601(UINT64_MAX), "9999-12-31T23:59:59.999Z");
}

TEST(Dates, HttpForms) {
    EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), kRfcExample);
    EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), kRfcExample);
    EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), kRfcExample);
    EXPECT_EQ(parse_http_date("Wed Nov 16 08:49:37 1994"), kRfcExample + 10 * 86400000ULL);
    EXPECT_EQ(iso8601(parse_http_date("Monday, 01-Jan-69 00:00:00 GMT").value_or(0)),
              "2069-01-01T00:00:00.000Z");
    EXPECT_EQ(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT"),
              parse_http_date("Sun, 01 Jan 2017 00:00:00 GMT"));
}

TEST(Dates, HttpBefore1970IsZero) {
    EXPECT_EQ(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT"), 0U);
    EXPECT_EQ(parse_http_date("Mon, 01 Jan 0001 00:00:00 GMT"), 0U);
}

TEST(Dates, HttpRefuses) {
    for (const std::string_view bad :
         {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
          "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
          "Sun, 29 Feb 2023 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
          "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
          "Foo, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT",
          "Sun, 00 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "784111777"}) {
        EXPECT_FALSE(parse_http_date(bad)) << bad;
    }
}

TEST(Dates, AmzRefuses) {
    for (const std::string_view bad :
         {"", "20261122T144350", "2026112T144350Z", "20261122T144350Zx", "20261322T144350Z",
          "20260230T144350Z", "20261122T244350Z", "20261122T146050Z", "20261122T144360Z",
          "20261122 144350Z", "+0261122T144350Z", "19691231T235959Z"}) {
        EXPECT_FALSE(parse_amz_date(bad)) << bad;
    }
}

TEST(Dates, Iso8601) {
    EXPECT_EQ(parse_iso8601("1994-11-06T08:49:37Z"), kRfcExample);
    EXPECT_EQ(parse_iso8601("1994-11-06T08:49:37.5Z"), kRfcExample + 500);
    EXPECT_EQ(parse_iso8601("1994-11-06T08:49:37.123987654321Z"), kRfcExample + 123);
    for (const std::string_view bad :
         {"", "1994-11-06", "1994-11-06T08:49:37", "1994-11-06T08:49:37.Z",
          "1994-11-06T08:49:37+00:00", "1994-11-06 08:49:37Z", "1994-02-30T08:49:37Z",
          "1994-11-06T08:49:60Z", "1969-12-31T23:59:59Z"}) {
        EXPECT_FALSE(parse_iso8601(bad)) << bad;
    }
}

TEST(Dates, RoundTrip) {
    expect_property([] {
        const auto ms = *rc::gen::inRange<std::uint64_t>(0, kLastMs + 1);
        const std::uint64_t whole = ms / 1000 * 1000;
        RC_ASSERT(parse_iso8601(iso8601(ms)) == ms);
        RC_ASSERT(parse_http_date(http_date(ms)) == whole);
        RC_ASSERT(parse_amz_date(amz_date(ms)) == whole);
    });
}

}  // namespace
}  // namespace hamster::base
