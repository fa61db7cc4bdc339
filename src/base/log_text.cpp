#include "base/log_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

namespace fathom {
namespace {

struct Character {
  char32_t code;
  size_t bytes;
};

constexpr char32_t kReplacement = 0xFFFD;

// What stands at the beginning of `text`, which is not empty; an ill-formed byte is a replacement.
Character first_character(std::string_view text) {
  constexpr Character kIllFormed = {kReplacement, 1};
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // of that many bytes
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return kIllFormed;
  char32_t code = lead & (0x7Fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kIllFormed;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kLeast[bytes] || code > 0x10FFFF || surrogate) return kIllFormed;
  return {code, bytes};
}

bool is_shown(char32_t code) {
  const auto within = [code](char32_t first, char32_t last) {
    return code >= first && code <= last;
  };
  return !within(0, 0x1F) && !within(0x7F, 0x9F) && !within(0x200E, 0x200F) &&
         !within(0x2028, 0x202E) && !within(0x2066, 0x2069) && code != 0x061C && code != 0xFEFF;
}

void append_escape(char32_t code, std::string& out) {
  switch (code) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(code));
  }
}

// `quoted`: within quotes, which end nothing inside.
void append_safely(std::string_view text, bool quoted, std::string& out) {
  while (!text.empty()) {
    const Character character = first_character(text);
    const std::string_view bytes = text.substr(0, character.bytes);
    text.remove_prefix(character.bytes);
    if (character.code == kReplacement) {
      out += "\xEF\xBF\xBD";
    } else if (!is_shown(character.code)) {
      append_escape(character.code, out);
    } else {
      if (quoted && (character.code == '"' || character.code == '\\')) out += '\\';
      out += bytes;
    }
  }
}

// RFC 3339, in the machine's zone.
void append_time(std::chrono::system_clock::time_point time, std::string& out) {
  using std::chrono::floor;
  const auto since = floor<std::chrono::milliseconds>(time).time_since_epoch();
  const auto whole = floor<std::chrono::seconds>(since);
  const auto seconds = static_cast<std::time_t>(whole.count());
  std::tm local = {};
  localtime_r(&seconds, &local);
  const long minutes = local.tm_gmtoff / 60;
  const long ahead = minutes < 0 ? -minutes : minutes;
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}{:02}:{:02}",
                 local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min,
                 local.tm_sec, (since - whole).count(), minutes < 0 ? '-' : '+', ahead / 60,
                 ahead % 60);
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '"' && c != '=' && c != '\\';
  });
}

void append_value(const LogField& field, LogFormat format, std::string& out) {
  if (const auto* number = std::get_if<int64_t>(&field.value)) {
    fmt::format_to(std::back_inserter(out), "{}", *number);
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    fmt::format_to(std::back_inserter(out), "{:.1f}", *real);
  } else if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    if (format == LogFormat::kText && is_word(*text)) {
      out += *text;
    } else {
      append_json_string(*text, out);
    }
  } else {
    out += format == LogFormat::kText ? "-" : "null";
  }
}

struct Letter {
  char letter;
  const char* colour;
};

Letter letter_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return {'D', "\x1b[36m"};
    case LogLevel::kInfo:
      return {'I', "\x1b[32m"};
    case LogLevel::kWarning:
      return {'W', "\x1b[33;1m"};
    case LogLevel::kError:
      return {'E', "\x1b[31;1m"};
  }
  return {'?', ""};
}

std::string text_line(const LogLine& line, bool colour) {
  std::string out;
  append_time(line.time, out);
  const Letter level = letter_of(line.level);
  out += ' ';
  if (colour) out += level.colour;
  out += level.letter;
  if (colour) out += "\x1b[0m";
  out += ' ';
  append_safely(line.message, false, out);
  for (const LogField& field : line.fields) {
    out += ' ';
    out += field.name;
    out += '=';
    append_value(field, LogFormat::kText, out);
  }
  return out += '\n';
}

std::string json_line(const LogLine& line) {
  std::string out = R"({"time":")";
  append_time(line.time, out);
  out += R"(","level":")";
  out += to_string(line.level);
  out += R"(","message":)";
  append_json_string(line.message, out);
  for (const LogField& field : line.fields) {
    out += ",\"";
    out += field.name;
    out += "\":";
    append_value(field, LogFormat::kJson, out);
  }
  return out += "}\n";
}

}  // namespace

const char* to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

std::string format_log_line(const LogLine& line, LogFormat format, bool colour) {
  return format == LogFormat::kJson ? json_line(line) : text_line(line, colour);
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  append_safely(text, true, out);
  out += '"';
}

}  // namespace fathom
