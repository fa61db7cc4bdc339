// How one line of the log is written: as text, or as a JSON object. Whatever a line tells, it stays
// one line and moves no terminal: control characters, line and paragraph separators, and marks that
// turn the direction of text are written as escapes, ill-formed UTF-8 as U+FFFD.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fathom {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

const char* to_string(LogLevel level);  // "debug", "info", "warning", "error"

// A named value of a line; the name is a word of ours. Nothing reads "-" in text, null in JSON.
struct LogField {
  std::string_view name;
  std::variant<std::monostate, int64_t, double, std::string_view> value = {};
};

struct LogLine {
  LogLevel level = LogLevel::kInfo;
  std::chrono::system_clock::time_point time = {};
  std::string_view message;
  std::span<const LogField> fields = {};
};

// With the line break at its end. Text: "2026-01-05T10:11:12.345+01:00 I message name=value ...",
// values quoted as in JSON where they are more than a word; `colour` is for the level. JSON:
// "time", "level", "message", and the fields by their names. Numbers with a fraction have one digit
// of it.
std::string format_log_line(const LogLine& line, LogFormat format, bool colour = false);

// `text` as a JSON string, quotes included, in the safe spelling said above.
void append_json_string(std::string_view text, std::string& out);

}  // namespace fathom
