// The job that this process takes part in: a rank among others where a launcher started it so, or
// alone. Joining compares the ranks; while the world lives, its threads watch over them
// (docs/parallel.md).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "comm/group.h"
#include "comm/health.h"
#include "comm/launch.h"
#include "comm/roster.h"
#include "comm/transport.h"
#include "comm/usage.h"

namespace fathom::comm {

class Heart;
class LauncherGuard;
class Watch;

struct WorldOptions {
  Milliseconds start_deadline{30000};      // for all ranks to have joined
  Milliseconds lost_after{5000};           // how long a rank may be stopped or silent
  Milliseconds operation_deadline{60000};  // for tags without one, and for leaving
  // Called once, from another thread, when a rank is lost; it has been logged and told to the other
  // ranks by then. Empty: the process ends with kExitRankLost, as it does a few seconds later
  // whatever this does.
  std::function<void(const Error&)> on_lost;
};

class World {
 public:
  // By the environment (read_launch). MPI is neither loaded nor needed where this rank is alone.
  // Errors: kInvalidArgument if ranks differ, kNotFound without libfathom_mpi.so or MPI.
  static Result<std::unique_ptr<World>> join(const Identity& identity, const WorldOptions& options);

  // Over a given transport, whose ranks are threads of this process: for unit tests.
  static Result<std::unique_ptr<World>> join_threads(Transport& transport, const Launch& launch,
                                                     const Identity& identity,
                                                     const WorldOptions& options);

  // Without leave() the others will find this rank lost.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Of all ranks.
  Group& group() { return *group_; }
  // By rank.
  const std::vector<Member>& members() const { return members_; }

  // Of all operations of this rank; nothing where it is alone.
  const Usage& usage() const { return usage_; }

  // The orderly end, called by every rank; waits for them all.
  Status leave();

 private:
  World() = default;
  static Result<std::unique_ptr<World>> enter(Transport& transport, const Launch& launch,
                                              const Identity& identity, const WorldOptions& options,
                                              bool processes);
  Status start(const Launch& launch, const Identity& identity, const WorldOptions& options);
  Status meet(const Identity& identity, Milliseconds deadline);

  Transport* transport_ = nullptr;  // null: alone
  Milliseconds operation_deadline_{0};
  Milliseconds beat_{0};
  Usage usage_;
  std::vector<Member> members_;
  std::unique_ptr<LauncherGuard> launcher_guard_;  // until the ranks have met
  std::unique_ptr<Health> health_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<Group> group_;
  std::unique_ptr<Heart> heart_;
};

}  // namespace fathom::comm
