#include "base/log_text.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>

namespace fathom {
namespace {

class LogText : public ::testing::Test {
 protected:
  void SetUp() override { set_zone("UTC"); }
  void TearDown() override { set_zone(nullptr); }

  static void set_zone(const char* zone) {
    if (zone != nullptr) {
      setenv("TZ", zone, 1);
    } else {
      unsetenv("TZ");
    }
    tzset();
  }
};

// 2026-01-05 09:11:12.345 UTC.
constexpr std::chrono::system_clock::time_point kTime{std::chrono::milliseconds(1'767'604'272'345)};

std::string text(std::string_view message, std::span<const LogField> fields = {}) {
  return format_log_line({LogLevel::kInfo, kTime, message, fields}, LogFormat::kText);
}

std::string json(std::string_view message, std::span<const LogField> fields = {}) {
  return format_log_line({LogLevel::kError, kTime, message, fields}, LogFormat::kJson);
}

std::string quoted(std::string_view value) {
  std::string out;
  append_json_string(value, out);
  return out;
}

constexpr std::array<LogField, 6> kFields = {{{"id", std::string_view("req-1")},
                                              {"model", std::string_view("my \"tiny\" one")},
                                              {"tokens", int64_t{7}},
                                              {"duration_ms", 12.34},
                                              {"finish", {}},
                                              {"error", std::string_view("")}}};

TEST_F(LogText, TellsDateZoneLevelAndValues) {
  EXPECT_EQ(text("ready"), "2026-01-05T09:11:12.345+00:00 I ready\n");
  EXPECT_EQ(text("request", kFields),
            "2026-01-05T09:11:12.345+00:00 I request id=req-1 model=\"my \\\"tiny\\\" one\" "
            "tokens=7 duration_ms=12.3 finish=- error=\"\"\n");
}

TEST_F(LogText, TellsTheMachinesZone) {
  set_zone("IST-5:30");  // POSIX counts from local time to UTC: east is negative
  EXPECT_TRUE(text("x").starts_with("2026-01-05T14:41:12.345+05:30 I"));
  set_zone("NST3:30");
  EXPECT_TRUE(text("x").starts_with("2026-01-05T05:41:12.345-03:30 I"));
}

TEST_F(LogText, JsonIsOneObject) {
  const auto parsed = nlohmann::json::parse(json("request", kFields));
  const nlohmann::json expected = {{"time", "2026-01-05T09:11:12.345+00:00"},
                                   {"level", "error"},
                                   {"message", "request"},
                                   {"id", "req-1"},
                                   {"model", "my \"tiny\" one"},
                                   {"tokens", 7},
                                   {"duration_ms", 12.3},
                                   {"finish", nullptr},
                                   {"error", ""}};
  EXPECT_EQ(parsed, expected);
}

TEST_F(LogText, NothingForgesALine) {
  const std::string evil =
      "a\nb\r\tc\x1b[31m\x7f \xC2\x9B"
      "2J \xE2\x80\xA8 \xE2\x80\xAE \"=\\";
  const std::array<LogField, 1> fields = {{{"model", evil}}};
  for (const std::string& line : {text(evil), text("x", fields), json(evil), json("x", fields)}) {
    EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
    for (const char c : line.substr(0, line.size() - 1)) {
      EXPECT_TRUE(c >= ' ' && c <= '~') << line;  // of `evil` only escapes are left beyond ASCII
    }
  }
  EXPECT_EQ(text("a\nb\x1b[0m"), "2026-01-05T09:11:12.345+00:00 I a\\nb\\u001b[0m\n");
  EXPECT_EQ(nlohmann::json::parse(json(evil))["message"], evil);
  EXPECT_EQ(nlohmann::json::parse(json("x", fields))["model"], evil);
}

TEST_F(LogText, NoValueLooksLikeTwo) {
  const std::array<LogField, 1> fields = {{{"model", std::string_view("a status=200")}}};
  EXPECT_NE(text("x", fields).find(" model=\"a status=200\"\n"), std::string::npos);
}

TEST_F(LogText, OtherLettersStayAsTheyAre) {
  EXPECT_EQ(quoted("Zoë 深度 😀"), "\"Zoë 深度 😀\"");
}

TEST_F(LogText, IllFormedUtf8IsReplaced) {
  const std::string replaced = "\"\xEF\xBF\xBD\"";
  EXPECT_EQ(quoted("\x80"), replaced);
  EXPECT_EQ(quoted("\xFF"), replaced);
  EXPECT_EQ(quoted("\xC3"), replaced);
  for (const char* bytes : {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                            "\xF8\x88\x80\x80\x80", "\xE2\x82", "\xC3("}) {
    const std::string line = quoted(bytes);
    EXPECT_TRUE(line.starts_with("\"\xEF\xBF\xBD")) << line;
    EXPECT_NO_THROW(nlohmann::json::parse(line)) << line;
  }
}

TEST_F(LogText, ColourIsForTheLevelOfText) {
  const LogLine line = {LogLevel::kWarning, kTime, "x", {}};
  EXPECT_EQ(format_log_line(line, LogFormat::kText, true),
            "2026-01-05T09:11:12.345+00:00 \x1b[33;1mW\x1b[0m x\n");
  EXPECT_EQ(format_log_line(line, LogFormat::kJson, true).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace fathom
