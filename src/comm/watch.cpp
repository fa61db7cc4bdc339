#include "comm/watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "comm/group.h"
#include "comm/termination.h"

namespace fathom::comm {
namespace {

// For the heart to tell the others what was found. Half of what mpirun leaves between its signals.
constexpr Milliseconds kTelling(500);

double seconds(Milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

// The time since `present` began, by `since`, which is kept while it lasts.
std::optional<Milliseconds> lasting(std::map<int, Milliseconds>& since, int rank, bool present,
                                    Milliseconds now) {
  if (!present) {
    since.erase(rank);
    return std::nullopt;
  }
  return now - since.emplace(rank, now).first->second;
}

}  // namespace

Watch::Watch(Health& health, const Launch& launch, WatchOptions options)
    : health_(health),
      launch_(launch),
      options_(std::move(options)),
      parent_(getppid()),
      local_ranks_(launch) {
  if (options_.processes) catch_termination();
  thread_ = std::thread([this] { run(); });
}

Watch::~Watch() {
  stopped_ = true;
  thread_.join();
}

void Watch::guard(std::string what, Milliseconds deadline) {
  const std::lock_guard lock(mutex_);
  guard_ = {std::move(what), deadline, health_.now() + deadline};
}

void Watch::release() {
  const std::lock_guard lock(mutex_);
  guard_.reset();
}

void Watch::set_heart(const Heart* heart) {
  const std::lock_guard lock(mutex_);
  heart_ = heart;
  heart_rounds_ = -1;
}

void Watch::run() {
  auto last = std::chrono::steady_clock::now();
  while (!stopped_ && !health_.broken()) {
    sleep();
    const auto passed =
        std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - last);
    health_.tick(std::min(passed, 2 * options_.beat));  // longer ones were pauses of this process
    if (passed > options_.patience / 2) pause_ = {passed, health_.now()};
    last += passed;
    if (stopped_) break;
    if (auto found = look()) health_.declare(std::move(*found));
    if (options_.processes) terminate_if_asked();
  }
  if (health_.broken()) conclude();
}

// Until half a beat has passed, a rank of this host ends, or SIGTERM comes.
void Watch::sleep() {
  std::vector<pollfd> events;
  if (options_.processes) {
    events.push_back({catch_termination(), POLLIN, 0});
    for (const int descriptor : local_ranks_.end_descriptors()) {
      events.push_back({descriptor, POLLIN, 0});
    }
  }
  // What has been seen stays readable: then only the time counts.
  const bool seen = !ended_since_.empty() || asked_to_end_.has_value();
  const auto timeout = static_cast<int>(std::max<int64_t>(1, options_.beat.count() / 2));
  poll(events.data(), seen ? 0 : events.size(), timeout);
}

std::optional<Finding> Watch::look() {
  if (options_.processes) {
    if (auto found = lost_launcher()) return found;
    if (auto found = ended_or_stopped()) return found;
  }
  if (auto found = health_.judge(options_.patience)) return found;
  if (auto found = overdue_guard()) return found;
  return stuck_heart();
}

// A rank that found another one lost ends too: what it told is awaited before its own end counts.
std::optional<Finding> Watch::ended_or_stopped() {
  local_ranks_.search();
  const Milliseconds now = health_.now();
  for (const auto& [rank, pid] : local_ranks_.found()) {
    const ProcessState state = local_ranks_.state(rank);
    const bool ended = state == ProcessState::kEnded && !health_.finished(rank);
    if (const auto time = lasting(ended_since_, rank, ended, now); time >= options_.beat / 2) {
      if (pause_ && now - pause_->second < options_.patience) return lost_by_pause(rank);
      return health_.blame(rank, Loss::kEnded,
                           fmt::format("its process, pid {} on this host, has ended", pid));
    }
    const bool stopped = state == ProcessState::kStopped;
    // The silence is as long as this, and a little longer: the better reason is to come first.
    const Milliseconds patience = options_.patience - 2 * options_.beat;
    if (const auto time = lasting(stopped_since_, rank, stopped, now); time >= patience) {
      return health_.blame(rank, Loss::kStopped,
                           fmt::format("its process, pid {} on this host, has been stopped by a "
                                       "signal for {:.1f} s",
                                       pid, seconds(*time)));
    }
  }
  return std::nullopt;
}

// mpirun lets stopped ranks go on when it ends a job.
Finding Watch::lost_by_pause(int ended) const {
  return {
      launch_.rank, Loss::kStopped,
      fmt::format("rank {}: this process was paused for {:.1f} s, and rank {} has ended by now: "
                  "the others must have found this rank lost",
                  launch_.rank, seconds(pause_->first), ended)};
}

std::optional<Finding> Watch::overdue_guard() {
  const std::lock_guard lock(mutex_);
  if (!guard_ || health_.now() < guard_->until) return std::nullopt;
  std::string text = fmt::format("rank {}: {}: expected {} ranks within {:.0f} s", launch_.rank,
                                 guard_->what, launch_.size, seconds(guard_->deadline));
  if (options_.processes) text += ranks_of_this_host();
  return Finding{-1, Loss::kLate, std::move(text)};
}

// "; on this host: ranks 0, 1 run; rank 2 (pid 7) is stopped; rank 3 was not seen".
std::string Watch::ranks_of_this_host() const {
  std::vector<int> running = {launch_.rank};
  std::string stopped;
  for (const auto& [rank, pid] : local_ranks_.found()) {
    if (local_ranks_.state(rank) == ProcessState::kRunning) {
      running.push_back(rank);
    } else {
      stopped += fmt::format("; rank {} (pid {}) is stopped or has ended", rank, pid);
    }
  }
  std::ranges::sort(running);
  std::string text =
      fmt::format("; on this host run: ranks {}{}", fmt::join(running, ", "), stopped);
  if (launch_.local_size == 0) return text + "; what other hosts run is not known here";
  const auto here = static_cast<int>(local_ranks_.found().size()) + 1;
  if (here < launch_.local_size) {
    text += fmt::format("; expected {} ranks on this host, saw {}", launch_.local_size, here);
    std::vector<int> missing;
    for (int rank = 0; rank < launch_.size; ++rank) {
      if (rank != launch_.rank && !local_ranks_.found().contains(rank)) missing.push_back(rank);
    }
    text += fmt::format("; not seen: rank {}", fmt::join(missing, ", "));
  } else if (launch_.local_size < launch_.size && stopped.empty()) {
    text += "; all ranks of this host run, so whoever is missing is not on this host";
  }
  return text;
}

std::optional<Finding> Watch::stuck_heart() {
  const std::lock_guard lock(mutex_);
  if (heart_ == nullptr) return std::nullopt;
  if (std::exchange(heart_rounds_, heart_->rounds()) != heart_->rounds()) {
    heart_moved_ = health_.now();
    return std::nullopt;
  }
  if (health_.now() - heart_moved_ < options_.patience) return std::nullopt;
  return Finding{-1, Loss::kSilent,
                 fmt::format("rank {}: a call of the transport has not come back for {:.1f} s",
                             launch_.rank, seconds(health_.now() - heart_moved_))};
}

std::optional<Finding> Watch::lost_launcher() {
  if (parent_ == 1 || getppid() == parent_) return std::nullopt;
  return Finding{-1, Loss::kEnded,
                 fmt::format("rank {}: the process that started this rank (pid {}) has ended",
                             launch_.rank, parent_)};
}

void Watch::terminate_if_asked() {
  if (!termination_caught() || health_.broken()) return;
  if (!asked_to_end_) asked_to_end_ = health_.now();
  if (health_.now() - *asked_to_end_ < 2 * options_.beat) return;
  log_warning("rank {}: ended by SIGTERM; {}{}", launch_.rank, health_.quietest(),
              ranks_of_this_host());
  (void)flush_log(kTelling);
  die_of_termination();
}

// In MPI_Init() ranks greet mpirun in turn. It waits for each, so one that is stopped in its turn
// keeps the others' greetings unanswered. If these ended now, mpirun would find them gone while it
// greets them and hang when it ends (PMIx up to 5.0 releases what it knows of a rank twice then):
// the stopped one is woken, as mpirun would do next, and the time for telling is enough for all.
void Watch::free_launcher() {
  const std::lock_guard lock(mutex_);
  if (heart_ == nullptr) local_ranks_.wake();
}

void Watch::conclude() {
  if (options_.processes) {
    end_in(3, kExitRankLost);
    free_launcher();
  }
  log_error("{}", health_.finding()->text);
  std::this_thread::sleep_for(kTelling);
  options_.on_lost(health_.error());
}

}  // namespace fathom::comm
