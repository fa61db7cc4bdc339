// The thread that ends a rank whose job cannot go on. It never calls the transport, so nothing
// there can keep it from naming the lost rank and ending this process in time, also before
// MPI_Init() has come back. What it looks at:
//   - what Health finds: accusations, silence, another operation;
//   - processes of ranks on this host: one that ended is seen at once, one that is stopped too;
//   - what was to be done by a deadline (guard());
//   - whether the heart is stuck in the transport;
//   - the launcher: without it nobody would end this process;
//   - SIGTERM, if nothing else handles it. mpirun sends it to all ranks when one dies, and kills
//     them a second later, so the reason is looked for before ending.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "comm/health.h"
#include "comm/heart.h"
#include "comm/launch.h"
#include "comm/local_ranks.h"

namespace fathom::comm {

struct WatchOptions {
  Milliseconds beat{250};                     // between two signs of life
  Milliseconds patience{5000};                // how long a rank may be stopped or silent
  std::function<void(const Error&)> on_lost;  // called once, after the finding was logged and told
  bool processes = true;  // false: ranks are threads of one process (unit tests)
};

class Watch {
 public:
  // `health` must outlive the watch.
  Watch(Health& health, const Launch& launch, WatchOptions options);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // `what` is to be done within `deadline`; replaces the guard before.
  void guard(std::string what, Milliseconds deadline);
  void release();
  // Null when it goes.
  void set_heart(const Heart* heart);

 private:
  struct Guard {
    std::string what;
    Milliseconds deadline{0};
    Milliseconds until{0};
  };

  void run();
  void sleep();
  std::optional<Finding> look();
  std::optional<Finding> ended_or_stopped();
  Finding lost_by_pause(int ended) const;
  std::optional<Finding> overdue_guard();
  std::optional<Finding> stuck_heart();
  std::optional<Finding> lost_launcher();
  void terminate_if_asked();
  void free_launcher();
  void conclude();
  std::string ranks_of_this_host() const;

  Health& health_;
  const Launch launch_;
  const WatchOptions options_;
  const int parent_;
  LocalRanks local_ranks_;
  std::map<int, Milliseconds> ended_since_;
  std::map<int, Milliseconds> stopped_since_;
  std::optional<Milliseconds> asked_to_end_;
  std::optional<std::pair<Milliseconds, Milliseconds>> pause_;  // of this process: length, end
  int64_t heart_rounds_ = -1;
  Milliseconds heart_moved_{0};
  std::mutex mutex_;  // of the next two
  std::optional<Guard> guard_;
  const Heart* heart_ = nullptr;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace fathom::comm
