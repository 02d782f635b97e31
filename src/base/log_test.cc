#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace hamster::base {
namespace {

constexpr std::uint64_t kNow = 1795358630123;

std::string human(LogLevel level, std::string_view message) {
    return format_log_line(LogFormat::kHuman, kNow, level, "s3", message);
}
std::string json(std::string_view message) {
    return format_log_line(LogFormat::kJson, kNow, LogLevel::kWarn, "s3", message);
}
std::string json_line(std::string_view message) {
    return std::string(
               R"({"time":"2026-11-22T14:43:50.123Z","level":"warn","room":"s3","message":")") +
           std::string(message) + "\"}\n";
}

TEST(LogFormat, Human) {
    EXPECT_EQ(human(LogLevel::kInfo, "ready"), "2026-11-22T14:43:50.123Z INFO  s3  ready\n");
    EXPECT_EQ(human(LogLevel::kError, "bad"), "2026-11-22T14:43:50.123Z ERROR s3  bad\n");
    EXPECT_EQ(human(LogLevel::kDebug, "é"), "2026-11-22T14:43:50.123Z DEBUG s3  é\n");
}

TEST(LogFormat, HumanCannotForgeALine) {
    EXPECT_EQ(human(LogLevel::kWarn, "a\nb\r\x1b[2J\x7f"),
              "2026-11-22T14:43:50.123Z WARN  s3  a\\nb\\r\\u001b[2J\\u007f\n");
}

TEST(LogFormat, Json) {
    EXPECT_EQ(json("ready"), json_line("ready"));
    EXPECT_EQ(json("say \"hi\" \\ \t\n"), json_line(R"(say \"hi\" \\ \t\n)"));
    EXPECT_EQ(json(std::string_view("\0\x1f", 2)), json_line(R"(\u0000\u001f)"));
    EXPECT_EQ(json("é€😀"), json_line("é€😀"));
}

TEST(LogFormat, JsonReplacesInvalidUtf8) {
    EXPECT_EQ(json("a\xff\xe2\x82z"), json_line(R"(a\ufffd\ufffd\ufffdz)"));
    EXPECT_EQ(json("\xed\xa0\x80"), json_line(R"(\ufffd\ufffd\ufffd)"));
}

struct Line {
    LogLevel level;
    std::string room;
    std::string message;
    bool operator==(const Line&) const = default;
};
std::vector<Line>* g_lines = nullptr;

class LogSinkTest : public testing::Test {
  protected:
    void SetUp() override {
        g_lines = &lines_;
        set_log_sink([](LogLevel level, std::string_view room, std::string_view message) {
            g_lines->push_back({level, std::string(room), std::string(message)});
        });
    }
    void TearDown() override {
        set_log_sink(nullptr);
        configure_log(LogLevel::kInfo, LogFormat::kHuman);
    }
    std::vector<Line> lines_;
};

TEST_F(LogSinkTest, LevelsFilter) {
    LOG_DEBUG("s3", "no {}", 1);
    LOG_INFO("s3", "yes {}", 2);
    LOG_ERROR("wal", "yes");
    EXPECT_THAT(lines_, testing::ElementsAre(Line{LogLevel::kInfo, "s3", "yes 2"},
                                             Line{LogLevel::kError, "wal", "yes"}));
    configure_log(LogLevel::kError, LogFormat::kHuman);
    LOG_WARN("s3", "no");
    EXPECT_EQ(lines_.size(), 2U);
    configure_log(LogLevel::kOff, LogFormat::kHuman);
    LOG_ERROR("s3", "no");
    log_line(LogLevel::kOff, "s3", "no");
    EXPECT_EQ(lines_.size(), 2U);
    configure_log(LogLevel::kDebug, LogFormat::kHuman);
    LOG_DEBUG("s3", "yes");
    EXPECT_EQ(lines_.size(), 3U);
}

TEST(Log, WritesOneLineToStderr) {
    testing::internal::CaptureStderr();
    configure_log(LogLevel::kInfo, LogFormat::kJson);
    LOG_INFO("node", "up");
    configure_log(LogLevel::kInfo, LogFormat::kHuman);
    LOG_INFO("node", "down");
    const std::string written = testing::internal::GetCapturedStderr();
    EXPECT_THAT(written, testing::MatchesRegex("\\{\"time\":\"[0-9T:.-]+Z\",\"level\":\"info\","
                                               "\"room\":\"node\",\"message\":\"up\"\\}\n"
                                               "[0-9T:.-]+Z INFO  node  down\n"));
}

}  // namespace
}  // namespace hamster::base
