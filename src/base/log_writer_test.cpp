#include "base/log_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

namespace fathom {
namespace {

constexpr std::chrono::milliseconds kLong{60'000};

std::string dropped_line(uint64_t lines) {
  return "dropped " + std::to_string(lines) + "\n";
}

// A pipe whose reader is the test; nobody reads until it does.
class Pipe {
 public:
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    read_end_ = ends[0];
    write_end_ = ends[1];
  }
  ~Pipe() {
    close(read_end_);
    close_write_end();
  }

  int write_end() const { return write_end_; }
  void close_write_end() {
    if (write_end_ >= 0) close(write_end_);
    write_end_ = -1;
  }
  // So that the next byte has to wait.
  size_t fill() {
    fcntl(write_end_, F_SETFL, O_NONBLOCK);
    const std::string some(4096, '.');
    size_t bytes = 0;
    for (ssize_t wrote = 0; (wrote = write(write_end_, some.data(), some.size())) > 0;) {
      bytes += static_cast<size_t>(wrote);
    }
    fcntl(write_end_, F_SETFL, 0);
    return bytes;
  }
  std::string read_some(size_t most = 65536) {
    std::string text(most, '\0');
    const ssize_t bytes = read(read_end_, text.data(), text.size());
    text.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
    return text;
  }
  std::string read_line() {
    std::string text;
    for (std::string more = "?"; !more.empty() && !text.ends_with('\n'); text += more) {
      more = read_some(1);
    }
    return text;
  }
  std::string read_until(std::string_view end) {
    std::string text;
    while (!text.ends_with(end)) {
      const std::string more = read_some();
      if (more.empty()) return text;
      text += more;
    }
    return text;
  }

 private:
  int read_end_ = -1;
  int write_end_ = -1;
};

TEST(LogWriter, WritesLinesInOrder) {
  Pipe pipe;
  LogWriter writer(pipe.write_end(), 1000, dropped_line);
  writer.write("one\n");
  writer.write("two\n");
  EXPECT_EQ(pipe.read_until("two\n"), "one\ntwo\n");
  EXPECT_TRUE(writer.flush(kLong));
}

TEST(LogWriter, NeverWaitsForItsReaderAndTellsWhatItDropped) {
  Pipe pipe;
  const size_t before = pipe.fill();
  LogWriter writer(pipe.write_end(), 100, dropped_line);
  writer.write("first\n");
  EXPECT_FALSE(writer.flush(std::chrono::milliseconds(0)));  // its reader reads nothing
  const std::string line = std::string(39, 'x') + "\n";
  for (int i = 0; i < 1000; ++i) writer.write(line);
  for (size_t read = 0; read < before;) read += pipe.read_some(before - read).size();
  EXPECT_EQ(pipe.read_line(), "first\n");
  // Up to four have room: two in the queue, and two that the thread may have taken before.
  size_t kept = 0;
  size_t dropped = 0;
  while (kept + dropped < 1000) {
    const std::string got = pipe.read_line();
    if (got == line) {
      ++kept;
    } else {
      ASSERT_EQ(got.substr(0, 8), "dropped ");
      dropped += std::stoul(got.substr(8));
    }
  }
  EXPECT_EQ(kept + dropped, 1000u);
  EXPECT_GE(kept, 2u);
  EXPECT_LE(kept, 4u);
  EXPECT_TRUE(writer.flush(kLong));
  writer.write("again\n");
  EXPECT_EQ(pipe.read_until("again\n"), "again\n");
}

TEST(LogWriter, GivesUpOnAReaderThatIsGone) {
  signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  LogWriter writer(ends[1], 1000, dropped_line);
  writer.write("lost\n");
  EXPECT_TRUE(writer.flush(kLong));
  close(ends[1]);
}

TEST(LogWriter, WritesTheRestAtItsEnd) {
  Pipe pipe;
  { LogWriter(pipe.write_end(), 1000, dropped_line).write("last\n"); }
  EXPECT_EQ(pipe.read_until("last\n"), "last\n");
}

TEST(LogWriter, TakesLinesOfManyThreads) {
  Pipe pipe;
  std::string text;
  std::thread reader([&] {
    for (std::string more = pipe.read_some(); !more.empty(); more = pipe.read_some()) text += more;
  });
  {
    LogWriter writer(pipe.write_end(), 1 << 20, dropped_line);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&writer, line = std::string(20, static_cast<char>('a' + i)) + "\n"] {
        for (int k = 0; k < 1000; ++k) writer.write(line);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  pipe.close_write_end();
  reader.join();
  ASSERT_EQ(text.size(), 4u * 1000 * 21);
  for (size_t at = 0; at < text.size(); at += 21) {
    EXPECT_EQ(text.substr(at, 21), std::string(20, text[at]) + "\n");
  }
}

}  // namespace
}  // namespace fathom
