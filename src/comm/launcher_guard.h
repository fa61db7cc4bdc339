// Ends a launcher that hangs because a rank ended at a bad moment of the start: an mpirun with PMIx
// 4.2 or 5.0 releases what it knows of a rank twice if the rank is gone when mpirun answers its
// greeting, and dead-locks when it ends. Its supervisor would wait for ever.
#pragma once

#include <sys/types.h>

namespace fathom::comm {

// From here to stand_down(), a small process watches over this one: if this one ends, and the
// launcher is still there 5 s later, the launcher is killed. Does nothing where this process's
// parent is not mpirun or its daemon, nor where there is no /bin/sh.
class LauncherGuard {
 public:
  LauncherGuard();
  ~LauncherGuard() { stand_down(); }
  LauncherGuard(const LauncherGuard&) = delete;
  LauncherGuard& operator=(const LauncherGuard&) = delete;

  // The ranks have met, or this one ends in order.
  void stand_down();

 private:
  pid_t guard_ = 0;  // 0: none
  int word_ = -1;  // a line sent here stands the guard down; the end without one is this process's
};

}  // namespace fathom::comm
