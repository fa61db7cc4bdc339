// The other ranks' processes on this host, found in /proc by the launcher's variables in their
// environment. So a rank is known before it says a word: the only way to name one that is stopped
// or dies before MPI_Init() has brought the ranks together.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "comm/launch.h"

namespace fathom::comm {

enum class ProcessState { kRunning, kStopped, kEnded };

class LocalRanks {
 public:
  // Looks for processes of `launch`'s job that run this process's program.
  explicit LocalRanks(Launch launch);
  ~LocalRanks();
  LocalRanks(const LocalRanks&) = delete;
  LocalRanks& operator=(const LocalRanks&) = delete;

  // Looks for ranks that were not there yet. Does nothing once every rank of this host is known.
  void search();

  // By rank; this one is not among them.
  std::map<int, pid_t> found() const;
  ProcessState state(int rank) const;

  // Lets stopped ones go on.
  void wake();

  // Descriptors that become readable when a rank's process ends.
  std::vector<int> end_descriptors() const;

 private:
  struct Process {
    pid_t pid = 0;
    int descriptor = -1;  // of pidfd_open(); -1 on kernels without
  };
  std::optional<int> rank_of(pid_t pid) const;
  std::optional<int> other_rank_of(pid_t pid) const;

  Launch launch_;
  std::string program_;
  std::map<int, Process> processes_;
};

}  // namespace fathom::comm
