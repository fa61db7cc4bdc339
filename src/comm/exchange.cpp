#include "comm/exchange.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <thread>

namespace fathom::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::nanoseconds;

constexpr microseconds kShortestSleep(20);
constexpr microseconds kLongestSleep(1000);
constexpr nanoseconds kYieldFor = std::chrono::milliseconds(1);
// More than this between two looks is a pause of the process, not of the others.
constexpr nanoseconds kLongestLook = std::chrono::seconds(1);

// Pauses between looks by the time that a wait has lasted.
void pause(nanoseconds waited, nanoseconds spin) {
  if (waited < spin) return;
  if (waited < spin + kYieldFor) {
    sched_yield();
    return;
  }
  const nanoseconds sleep = (waited - spin) / 50;
  std::this_thread::sleep_for(std::clamp<nanoseconds>(sleep, kShortestSleep, kLongestSleep));
}

}  // namespace

Status Exchange::begin(const Progress& operation, Milliseconds deadline) {
  if (health_.broken()) return health_.error();
  tag_ = static_cast<int>(operation.signature % (static_cast<uint64_t>(transport_.max_tag()) + 1));
  deadline_ = deadline;
  waited_ = {};
  began_ = Clock::now();
  messages_.clear();
  health_.enter(operation);
  return {};
}

void Exchange::send(int peer, const void* data, size_t bytes, bool even_empty) {
  start(peer, const_cast<void*>(data), bytes, even_empty, false);
}

void Exchange::receive(int peer, void* data, size_t bytes, bool even_empty) {
  start(peer, data, bytes, even_empty, true);
}

void Exchange::start(int peer, void* data, size_t bytes, bool even_empty, bool receive) {
  auto* part = static_cast<std::byte*>(data);
  size_t left = bytes;
  while (!health_.broken() && (left > 0 || even_empty)) {
    Message message = {{}, peer, std::min(left, kMaxMessage), receive};
    const char* trouble =
        receive
            ? transport_.receive(Channel::kData, peer, tag_, part, message.bytes, &message.request)
            : transport_.send(Channel::kData, peer, tag_, part, message.bytes, &message.request);
    if (trouble != nullptr) return fail(peer, trouble);
    messages_.push_back(message);
    if (!receive) usage_.sent_bytes += static_cast<int64_t>(message.bytes);
    left -= message.bytes;
    if (left == 0) return;
    part += message.bytes;
  }
}

bool Exchange::look() {
  size_t kept = 0;
  for (Message& message : messages_) {
    bool done = false;
    size_t received = 0;
    if (const char* trouble = transport_.test(&message.request, &done, &received)) {
      fail(message.peer, trouble);
    } else if (done && message.receive && received != message.bytes) {
      fail(message.peer, fmt::format("expected {} bytes, got {}", message.bytes, received));
    } else if (!done) {
      messages_[kept++] = message;
    }
  }
  messages_.resize(kept);
  return messages_.empty();
}

bool Exchange::go_on(Waited& waited) {
  const auto now = Clock::now();
  const nanoseconds passed = std::min<nanoseconds>(now - waited.last, kLongestLook);
  waited.last = now;
  waited.here += passed;
  waited_ += passed;
  if (waited_ > deadline_) return false;
  pause(waited.here, spin_);
  return true;
}

Status Exchange::wait() {
  Waited waited = {.last = Clock::now()};
  while (!health_.broken() && !look()) {
    if (go_on(waited)) continue;
    awaited_.clear();
    for (const Message& message : messages_) {
      if (std::ranges::find(awaited_, message.peer) == awaited_.end()) {
        awaited_.push_back(message.peer);
      }
    }
    return overdue();
  }
  return health_.broken() ? Status(health_.error()) : Status();
}

Status Exchange::wait_until(const std::function<Result<bool>()>& is_done,
                            std::span<const int> members) {
  Waited waited = {.last = Clock::now()};
  while (!health_.broken()) {
    FATHOM_ASSIGN(const bool done, is_done());
    if (done) return {};
    if (go_on(waited)) continue;
    awaited_.assign(members.begin(), members.end());
    std::erase(awaited_, health_.rank());
    return overdue();
  }
  return health_.error();
}

Status Exchange::overdue() {
  health_.declare(health_.blame_late(awaited_, deadline_));
  return health_.error();
}

void Exchange::fail(int peer, const std::string& text) {
  health_.declare(health_.blame(peer, Loss::kMismatch, text));
}

Status Exchange::end(Status status) {
  usage_.nanoseconds += nanoseconds(Clock::now() - began_).count();
  return leave(std::move(status));
}

Status Exchange::leave(Status status) {
  if (health_.broken()) return health_.error();
  health_.leave();
  return status;
}

}  // namespace fathom::comm
