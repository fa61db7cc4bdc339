#include "comm/heart.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace fathom::comm {
namespace {

constexpr int kProgressTag = 1;
constexpr int kTableTag = 2;
constexpr int kRoundsABeat = 5;   // looks for news between two signs of life
constexpr int kBeatsToTell = 10;  // outlives the watch's wait

}  // namespace

Heart::Heart(Transport& transport, Health& health, Milliseconds beat)
    : transport_(transport),
      health_(health),
      beat_(beat),
      lines_(static_cast<size_t>(health.size())),
      inbox_(health.rank() == 0 ? 1 : static_cast<size_t>(health.size())),
      thread_([this] { run(); }) {}

Heart::~Heart() {
  stopped_ = true;
  if (thread_.joinable()) thread_.join();
}

void Heart::run() {
  int rounds_to_tell = kBeatsToTell * kRoundsABeat;  // what was found
  for (int64_t number = 0; !stopped_ && !done() && rounds_to_tell > 0; ++number) {
    if (health_.broken()) --rounds_to_tell;
    round(health_.broken() || health_.finished(health_.rank()) || number % kRoundsABeat == 0);
    rounds_.fetch_add(1, std::memory_order_relaxed);
    if (!done()) health_.wait_for_change(std::max(beat_ / kRoundsABeat, Milliseconds(1)));
  }
}

void Heart::round(bool beat) {
  for (Line& line : lines_) {
    size_t ignored = 0;
    bool sent = false;
    if (!line.busy) continue;
    const char* trouble = transport_.test(&line.request, &sent, &ignored);
    if (trouble != nullptr) report_trouble(trouble);
    if (sent || trouble != nullptr) line.busy = false;
  }
  listen();
  if (!beat) return;
  if (health_.rank() == 0) {
    tell_everyone();
  } else {
    tell_rank_0();
  }
}

// Not a finding: the transport cannot say whom it lost. The others' silence will, unless the watch
// sees the reason first.
void Heart::report_trouble(const char* text) {
  if (!std::exchange(troubled_, true)) log_warning("signs of life: {}", text);
}

void Heart::listen() {
  const bool leader = health_.rank() == 0;
  while (true) {
    const bool more = leader ? !health_.others_finished() : !closing_;
    if (!listening_ && !more) return;
    if (!listening_) {
      const char* trouble = transport_.receive(Channel::kHealth, leader ? kAnyPeer : 0,
                                               leader ? kProgressTag : kTableTag, inbox_.data(),
                                               inbox_.size() * sizeof(Progress), &incoming_);
      if (trouble != nullptr) return report_trouble(trouble);
      listening_ = true;
    }
    bool received = false;
    size_t bytes = 0;
    if (const char* trouble = transport_.test(&incoming_, &received, &bytes)) {
      listening_ = false;
      return report_trouble(trouble);
    }
    if (!received) return;
    listening_ = false;
    take_in(bytes);
  }
}

void Heart::take_in(size_t bytes) {
  if (bytes != inbox_.size() * sizeof(Progress)) {
    return report_trouble("expected a message of another size");
  }
  for (const Progress& news : inbox_) {
    health_.hear(news, Milliseconds(news.age_ms));
    if (news.closing != 0) closing_ = true;
  }
}

// At most one message to a peer is under way: a stopped one gets no heap of them.
bool Heart::send_to(int peer, std::vector<Progress> message) {
  Line& line = lines_[static_cast<size_t>(peer)];
  if (line.busy || line.last_sent) return false;
  line.message = std::move(message);
  const char* trouble =
      transport_.send(Channel::kHealth, peer, peer == 0 ? kProgressTag : kTableTag,
                      line.message.data(), line.message.size() * sizeof(Progress), &line.request);
  if (trouble != nullptr) {
    report_trouble(trouble);
    return false;
  }
  line.busy = true;
  return true;
}

void Heart::tell_rank_0() {
  const Progress own = health_.own();
  if (send_to(0, {own}) && own.phase == Phase::kFinished) lines_[0].last_sent = true;
}

void Heart::tell_everyone() {
  std::vector<Progress> table = health_.table();
  if (!listening_ && health_.others_finished() && health_.finished(0)) {
    table[0].closing = 1;
    closing_ = true;
  }
  for (int peer = 1; peer < health_.size(); ++peer) {
    if (send_to(peer, table) && table[0].closing != 0) {
      lines_[static_cast<size_t>(peer)].last_sent = true;
    }
  }
}

bool Heart::done() const {
  if (!closing_ || listening_) return false;
  const bool leader = health_.rank() == 0;
  const auto last = [](const Line& line) { return line.last_sent && !line.busy; };
  return leader ? std::all_of(lines_.begin() + 1, lines_.end(), last) : !lines_[0].busy;
}

}  // namespace fathom::comm
