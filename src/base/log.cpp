#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "base/log_writer.h"

namespace fathom {
namespace {

// Some 20,000 lines.
constexpr size_t kMaxQueuedBytes = 4 << 20;
constexpr std::chrono::milliseconds kPatienceAtTheEnd{1000};

std::atomic<LogLevel> least_level = LogLevel::kInfo;
std::atomic<LogFormat> chosen_format = LogFormat::kText;
// Never destroyed: whatever ends last may log.
std::atomic<LogWriter*> writer = nullptr;

bool colours() {
  static const bool wanted = [] {
    const char* terminal = std::getenv("TERM");
    const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
    return isatty(STDERR_FILENO) != 0 && !dumb && std::getenv("NO_COLOR") == nullptr;
  }();
  return wanted;
}

std::string format_now(LogLevel level, std::string_view text, std::span<const LogField> fields) {
  return format_log_line({level, std::chrono::system_clock::now(), text, fields}, chosen_format,
                         colours());
}

std::string dropped_line(uint64_t lines) {
  return format_now(
      LogLevel::kWarning,
      fmt::format("{} lines of the log were dropped: stderr is read too slowly", lines), {});
}

}  // namespace

void set_log_level(LogLevel level) {
  least_level = level;
}

void set_log_format(LogFormat format) {
  chosen_format = format;
}

void start_log_thread() {
  if (writer != nullptr) return;
  try {
    writer = new LogWriter(STDERR_FILENO, kMaxQueuedBytes, dropped_line);
    std::atexit([] { (void)flush_log(kPatienceAtTheEnd); });
  } catch (const std::exception& error) {
    log_warning("log: no thread for it, so it may hold up what it tells of: {}", error.what());
  }
}

bool flush_log(std::chrono::milliseconds patience) {
  LogWriter* const queue = writer;
  return queue == nullptr || queue->flush(patience);
}

bool log_enabled(LogLevel level) {
  return level >= least_level.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, std::string_view text) {
  log_fields(level, text, {});
}

void log_fields(LogLevel level, std::string_view text, std::span<const LogField> fields) {
  if (!log_enabled(level)) return;
  try {
    const std::string line = format_now(level, text, fields);
    if (LogWriter* const queue = writer) return queue->write(line);
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    write_all(STDERR_FILENO, line);
  } catch (const std::exception&) {  // no memory for it
  }
}

}  // namespace fathom
