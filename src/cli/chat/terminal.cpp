#include "cli/chat/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace fathom::cli {
namespace {

constexpr std::string_view kPasteBracketsOn = "\x1b[?2004h";
constexpr std::string_view kPasteBracketsOff = "\x1b[?2004l";

// Signal handlers can only use globals like these.
std::atomic<bool> g_interrupted{false};
int g_wake_pipe[2] = {-1, -1};
termios g_mode_before = {};

void handle(int number, void (*handler)(int), int flags = 0) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(number, &action, nullptr);
}

void wake(int number) {
  const int before = errno;
  const char byte = static_cast<char>(number);
  (void)!::write(g_wake_pipe[1], &byte, 1);  // if it is full it wakes as well
  errno = before;
}

void note_interrupt(int number) {
  g_interrupted = true;
  wake(number);
}

void restore_and_end(int number) {
  tcsetattr(STDIN_FILENO, TCSANOW, &g_mode_before);
  (void)!::write(STDOUT_FILENO, kPasteBracketsOff.data(), kPasteBracketsOff.size());
  raise(number);
}

void set_mode(tcflag_t local_off, tcflag_t input_off) {
  termios mode = g_mode_before;
  mode.c_lflag &= ~local_off;
  mode.c_iflag &= ~input_off;
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
}

// Of standard input; whether it goes on.
bool read_some(std::string& bytes) {
  char buffer[4096];
  const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
  if (count > 0) bytes.append(buffer, static_cast<size_t>(count));
  return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
}

bool has_cursor() {
  const char* name = std::getenv("TERM");
  return name != nullptr && *name != '\0' && std::string_view(name) != "dumb";
}

}  // namespace

void catch_interrupts() {
  handle(SIGINT, note_interrupt);
}

bool interrupted() {
  return g_interrupted;
}

void forget_interrupt() {
  g_interrupted = false;
}

ChatTerminal::ChatTerminal() : can_draw_(has_cursor()) {
  if (pipe2(g_wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) can_draw_ = false;
  if (tcgetattr(STDIN_FILENO, &g_mode_before) != 0) can_draw_ = false;
  if (!can_draw_) return;
  handle(SIGWINCH, wake);
  handle(SIGCONT, wake);
  for (const int number : {SIGTERM, SIGHUP, SIGQUIT}) {
    handle(number, restore_and_end, static_cast<int>(SA_RESETHAND) | SA_NODEFER);
  }
  write(kPasteBracketsOn);
}

ChatTerminal::~ChatTerminal() {
  if (!can_draw_) return;
  write(kPasteBracketsOff);
  for (const int number : {SIGWINCH, SIGCONT, SIGTERM, SIGHUP, SIGQUIT}) handle(number, SIG_DFL);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &g_mode_before);
}

TerminalSize ChatTerminal::size() const {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {80, 24};
  }
  return {size.ws_col, size.ws_row};
}

void ChatTerminal::edit_mode() {
  if (can_draw_) set_mode(ICANON | ECHO | ISIG | IEXTEN, ICRNL | INLCR | IGNCR | IXON | ISTRIP);
}

void ChatTerminal::answer_mode() {
  if (can_draw_) set_mode(ICANON | ECHO, ICRNL | INLCR | IGNCR | IXON | ISTRIP);
}

ChatTerminal::Event ChatTerminal::wait(std::string& bytes) {
  pollfd sources[] = {{STDIN_FILENO, POLLIN, 0}, {g_wake_pipe[0], POLLIN, 0}};
  while (poll(sources, 2, -1) < 0) {
    if (errno != EINTR) return Event::kEnd;
  }
  if ((sources[1].revents & POLLIN) != 0) {
    char number = 0;
    if (read(g_wake_pipe[0], &number, 1) != 1 || number == SIGWINCH) return Event::kResized;
    return number == SIGCONT ? Event::kContinued : Event::kInterrupt;
  }
  return read_some(bytes) ? Event::kInput : Event::kEnd;
}

void ChatTerminal::take_type_ahead(std::string& bytes) {
  if (!can_draw_) return;
  pollfd source = {STDIN_FILENO, POLLIN, 0};
  if (poll(&source, 1, 0) > 0 && (source.revents & POLLIN) != 0) (void)read_some(bytes);
}

void ChatTerminal::drop_type_ahead() {
  tcflush(STDIN_FILENO, TCIFLUSH);
}

void ChatTerminal::suspend() {
  write(kPasteBracketsOff);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &g_mode_before);
  raise(SIGTSTP);
  write(kPasteBracketsOn);
}

void ChatTerminal::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;  // nobody reads any more
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace fathom::cli
