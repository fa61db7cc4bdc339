#include "base/log_writer.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <utility>

namespace fathom {
namespace {

// A thread that takes no signal: they are for those who wait for them.
template <typename Function>
std::thread start_quietly(Function&& function) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  try {
    std::thread thread(std::forward<Function>(function));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
}

}  // namespace

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t bytes = ::write(descriptor, text.data(), text.size());
    if (bytes >= 0) {
      text.remove_prefix(static_cast<size_t>(bytes));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {  // another's terminal
      pollfd state = {descriptor, POLLOUT, 0};
      (void)::poll(&state, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

LogWriter::LogWriter(int descriptor, size_t max_bytes, DroppedLine dropped_line)
    : descriptor_(descriptor), max_bytes_(max_bytes), dropped_line_(std::move(dropped_line)) {
  thread_ = start_quietly([this] { run(); });
}

LogWriter::~LogWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  filled_.notify_one();
  thread_.join();
}

void LogWriter::write(std::string_view line) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() + line.size() > max_bytes_) {
      ++dropped_;
    } else {
      queue_ += line;
    }
  }
  filled_.notify_one();
}

bool LogWriter::flush(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return written_.wait_for(lock, patience, [this] { return idle(); });
}

void LogWriter::run() {
  std::string batch;
  std::unique_lock lock(mutex_);
  while (true) {
    filled_.wait(lock, [this] { return stopping_ || !queue_.empty() || dropped_ > 0; });
    if (queue_.empty() && dropped_ == 0) return;
    std::swap(batch, queue_);
    const uint64_t dropped = std::exchange(dropped_, 0);
    writing_ = true;
    lock.unlock();
    write_all(descriptor_, batch);
    if (dropped > 0) {
      try {
        write_all(descriptor_, dropped_line_(dropped));
      } catch (const std::exception&) {  // no memory for it
      }
    }
    batch.clear();
    lock.lock();
    writing_ = false;
    if (idle()) written_.notify_all();
  }
}

}  // namespace fathom
