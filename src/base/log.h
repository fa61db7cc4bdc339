// Logging: one line an event, to stderr, so that stdout stays for a command's result. Never throws:
// a line that there is no memory for, or whose reader is gone, is dropped. log_text.h says what a
// line looks like.
//   log_info("loaded {} tensors in {:.1f} s", n, seconds);
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <span>
#include <string_view>
#include <utility>

#include "base/log_text.h"

namespace fathom {

// At first: kInfo, kText.
void set_log_level(LogLevel level);
void set_log_format(LogFormat format);

// From now on lines are queued, and a thread writes them: nobody who logs waits for a slow stderr.
// What is queued at the orderly end of the process is written then, if a second is enough.
void start_log_thread();
// Waits until all lines so far are written; false if they were not after `patience`. For before
// _exit(), and before others are told that something has happened.
bool flush_log(std::chrono::milliseconds patience);

bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view text);
// An event with named values.
void log_fields(LogLevel level, std::string_view text, std::span<const LogField> fields);

template <typename... Args>
void log_at(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (!log_enabled(level)) return;
  try {
    log_line(level, fmt::format(format, std::forward<Args>(args)...));
  } catch (const std::exception&) {  // no memory for it: what it tells of goes on all the same
  }
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::kDebug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::kInfo, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::kWarning, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::kError, format, std::forward<Args>(args)...);
}

}  // namespace fathom
