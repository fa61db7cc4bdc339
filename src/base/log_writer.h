// Writes lines to a file descriptor on a thread of its own, so that whoever logs never waits for
// the descriptor's reader. What the queue has no room for is dropped; once there is room, a line
// tells how many lines that were.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace fathom {

// All of `text`, however long that takes. A reader that is gone gets nothing.
void write_all(int descriptor, std::string_view text);

class LogWriter {
 public:
  // The line that tells of dropped ones, with its line break.
  using DroppedLine = std::function<std::string(uint64_t lines)>;

  // Throws std::system_error where the system gives no thread. `max_bytes` are of the queue.
  LogWriter(int descriptor, size_t max_bytes, DroppedLine dropped_line);
  // Writes what is queued first, however long that takes.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // A whole line, with its line break. Thread-safe. Throws std::bad_alloc.
  void write(std::string_view line);
  // Waits until all that was queued is written; false if it was not after `patience`.
  bool flush(std::chrono::milliseconds patience);

 private:
  void run();
  bool idle() const { return queue_.empty() && dropped_ == 0 && !writing_; }

  const int descriptor_;
  const size_t max_bytes_;
  const DroppedLine dropped_line_;

  std::mutex mutex_;  // guards all below
  std::condition_variable filled_;
  std::condition_variable written_;
  std::string queue_;
  uint64_t dropped_ = 0;
  bool writing_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fathom
