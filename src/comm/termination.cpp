#include "comm/termination.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>

namespace fathom::comm {
namespace {

std::atomic<int> event{-1};
std::atomic<bool> caught{false};
std::atomic<int> end_code{1};

void on_termination(int) {
  caught = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = write(event, &one, sizeof(one));
}

void on_alarm(int) {
  _exit(end_code);
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(number, &action, nullptr);
}

}  // namespace

int catch_termination() {
  struct sigaction present = {};
  sigaction(SIGTERM, nullptr, &present);
  if (present.sa_handler == on_termination) return event;
  if (present.sa_handler != SIG_DFL) return -1;
  event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  handle(SIGTERM, on_termination);
  return event;
}

bool termination_caught() {
  return caught;
}

void die_of_termination() {
  handle(SIGTERM, SIG_DFL);
  kill(getpid(), SIGTERM);
}

void end_in(unsigned seconds, int code) {
  end_code = code;
  handle(SIGALRM, on_alarm);
  alarm(seconds);
}

}  // namespace fathom::comm
