#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace hamster::base {
namespace {

using testing::HasSubstr;

TEST(Metrics, CountersAndGauges) {
    Metrics metrics;
    metrics.counter("hamster_a_total", "Things").add(3);
    metrics.counter("hamster_a_total", "Things").add();
    metrics.gauge("hamster_b", "Level").set(-5);
    metrics.gauge("hamster_b", "Level").add(2);
    EXPECT_EQ(metrics.render(),
              "# HELP hamster_a_total Things\n"
              "# TYPE hamster_a_total counter\n"
              "hamster_a_total 4\n"
              "# HELP hamster_b Level\n"
              "# TYPE hamster_b gauge\n"
              "hamster_b -3\n");
}

TEST(Metrics, LabelsMakeSeriesInAnyOrder) {
    Metrics metrics;
    Counter& first = metrics.counter("x_total", "X", {{"op", "put"}, {"code", "200"}});
    Counter& same = metrics.counter("x_total", "X", {{"code", "200"}, {"op", "put"}});
    Counter& other = metrics.counter("x_total", "X", {{"op", "get"}, {"code", "200"}});
    EXPECT_EQ(&first, &same);
    EXPECT_NE(&first, &other);
    first.add(7);
    EXPECT_EQ(metrics.render(),
              "# HELP x_total X\n"
              "# TYPE x_total counter\n"
              "x_total{code=\"200\",op=\"get\"} 0\n"
              "x_total{code=\"200\",op=\"put\"} 7\n");
}

TEST(Metrics, Escapes) {
    Metrics metrics;
    metrics.gauge("g", "back\\slash \"quoted\"\nline", {{"l", "a\\b\"c\nd"}});
    EXPECT_EQ(metrics.render(),
              "# HELP g back\\\\slash \"quoted\"\\nline\n"
              "# TYPE g gauge\n"
              "g{l=\"a\\\\b\\\"c\\nd\"} 0\n");
}

TEST(Metrics, GaugeFunctions) {
    Metrics metrics;
    double value = 1.5;
    metrics.gauge_fn("f", "F", [&value] { return value; });
    EXPECT_THAT(metrics.render(), HasSubstr("\nf 1.5\n"));
    value = std::numeric_limits<double>::infinity();
    EXPECT_THAT(metrics.render(), HasSubstr("\nf +Inf\n"));
    value = -value;
    EXPECT_THAT(metrics.render(), HasSubstr("\nf -Inf\n"));
    value = std::nan("");
    EXPECT_THAT(metrics.render(), HasSubstr("\nf NaN\n"));
}

TEST(Metrics, HistogramBucketsAreCumulativeSeconds) {
    Metrics metrics;
    Histogram& h = metrics.histogram("t_seconds", "T", {{"op", "put"}});
    h.observe_us(0);
    h.observe_us(50);  // on the bound of the first bucket: belongs to it
    h.observe_us(51);
    h.observe_us(1000);        // between 800 and 1600
    h.observe_us(UINT32_MAX);  // above the last bound
    EXPECT_EQ(h.count(), 5U);
    const std::string text = metrics.render();
    EXPECT_THAT(text, HasSubstr("# TYPE t_seconds histogram\n"));
    EXPECT_THAT(text, HasSubstr("t_seconds_bucket{op=\"put\",le=\"5e-05\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("t_seconds_bucket{op=\"put\",le=\"0.0001\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("t_seconds_bucket{op=\"put\",le=\"0.0008\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("t_seconds_bucket{op=\"put\",le=\"0.0016\"} 4\n"));
    EXPECT_THAT(text, HasSubstr("t_seconds_bucket{op=\"put\",le=\"104.8576\"} 4\n"));
    EXPECT_THAT(text, HasSubstr("t_seconds_bucket{op=\"put\",le=\"+Inf\"} 5\n"));
    EXPECT_THAT(text, HasSubstr("t_seconds_sum{op=\"put\"} 4294.968396\n"));
    EXPECT_THAT(text, HasSubstr("t_seconds_count{op=\"put\"} 5\n"));
}

TEST(MetricsDeathTest, AssertsOnMisuse) {
    Metrics metrics;
    metrics.counter("a_total", "A");
    EXPECT_DEATH(metrics.gauge("a_total", "A"), "a_total");
    EXPECT_DEATH(metrics.gauge("not valid", "A"), "not valid");
    EXPECT_DEATH(metrics.gauge("a", "A", {{"1", "x"}}), "assertion failed");
}

}  // namespace
}  // namespace hamster::base
