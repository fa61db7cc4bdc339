#include "comm/world.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/log.h"
#include "comm/heart.h"
#include "comm/launcher_guard.h"
#include "comm/load_transport.h"
#include "comm/peer_group.h"
#include "comm/solo_group.h"
#include "comm/watch.h"

namespace fathom::comm {
namespace {

constexpr int kBeatsOfPatience = 20;
constexpr Milliseconds kLongestBeat(250);
constexpr std::chrono::microseconds kSpin(100);
// What watches over the start waits this much longer than the exchange, which knows names.
constexpr Milliseconds kGuardMargin(500);
constexpr Milliseconds kPatienceWithLog(500);

Error transport_error(const char* what, const char* text) {
  return {ErrorCode::kIo, fmt::format("{}: {}", what, text)};
}

void end_process(const Error&) {
  (void)flush_log(kPatienceWithLog);
  _exit(kExitRankLost);
}

// Looking without pause helps only where every rank has a core.
std::chrono::microseconds choose_spin(const Launch& launch) {
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  return launch.local_size > cores ? std::chrono::microseconds(0) : kSpin;
}

}  // namespace

Result<std::unique_ptr<World>> World::join(const Identity& identity, const WorldOptions& options) {
  FATHOM_ASSIGN(const Launch launch,
                read_launch([](const char* name) { return std::getenv(name); }));
  if (launch.size > 1) {
    FATHOM_ASSIGN(Transport* const transport, load_transport());
    return enter(*transport, launch, identity, options, true);
  }
  auto world = std::unique_ptr<World>(new World());
  world->members_ = {this_member(identity)};
  world->group_ = std::make_unique<SoloGroup>();
  return world;
}

Result<std::unique_ptr<World>> World::join_threads(Transport& transport, const Launch& launch,
                                                   const Identity& identity,
                                                   const WorldOptions& options) {
  return enter(transport, launch, identity, options, false);
}

Result<std::unique_ptr<World>> World::enter(Transport& transport, const Launch& launch,
                                            const Identity& identity, const WorldOptions& options,
                                            bool processes) {
  auto world = std::unique_ptr<World>(new World());
  world->transport_ = &transport;
  world->operation_deadline_ = options.operation_deadline;
  world->beat_ = std::clamp(options.lost_after / kBeatsOfPatience, Milliseconds(1), kLongestBeat);
  if (processes) world->launcher_guard_ = std::make_unique<LauncherGuard>();
  world->health_ = std::make_unique<Health>(launch.rank, launch.size);
  WatchOptions watch = {.beat = world->beat_,
                        .patience = options.lost_after,
                        .on_lost = options.on_lost,
                        .processes = processes};
  if (!watch.on_lost) watch.on_lost = end_process;
  world->watch_ = std::make_unique<Watch>(*world->health_, launch, std::move(watch));
  FATHOM_TRY(world->start(launch, identity, options));
  return world;
}

Status World::start(const Launch& launch, const Identity& identity, const WorldOptions& options) {
  watch_->guard("start", options.start_deadline);
  if (const char* trouble = transport_->start()) return transport_error("start", trouble);
  if (transport_->rank() != launch.rank || transport_->size() != launch.size) {
    return invalid_argument(
        fmt::format("start: expected rank {} of {} by the environment, got {} of "
                    "{} by {}",
                    launch.rank, launch.size, transport_->rank(), transport_->size(), "MPI"));
  }
  group_ = std::make_unique<PeerGroup>(
      GroupContext{*transport_, *health_, options.operation_deadline, choose_spin(launch), usage_});
  const Milliseconds left = options.start_deadline - health_->now();
  watch_->guard("start", left + kGuardMargin);
  if (auto met = meet(identity, left); !met) {
    // Every rank finds the same and ends in order; a lost rank has ended this process already.
    if (met.error().code == ErrorCode::kInvalidArgument) {
      transport_->stop();
      watch_.reset();
    }
    return met;
  }
  launcher_guard_.reset();
  std::vector<std::string> places;
  for (const Member& member : members_) places.push_back(member.place());
  health_->set_places(std::move(places));
  heart_ = std::make_unique<Heart>(*transport_, *health_, beat_);
  watch_->set_heart(heart_.get());
  watch_->release();
  return {};
}

Status World::meet(const Identity& identity, Milliseconds deadline) {
  const Tag tag = {.step = -1, .name = "roster", .deadline = deadline};
  FATHOM_ASSIGN(members_, exchange_roster(*group_, tag, this_member(identity)));
  return compare_roster(members_);
}

Status World::leave() {
  if (transport_ == nullptr) return {};
  if (health_->broken()) return health_->error();
  watch_->guard("end", operation_deadline_);
  health_->finish();
  heart_->wait_for_end();
  if (health_->broken()) return health_->error();
  watch_->set_heart(nullptr);
  heart_.reset();
  if (const char* trouble = transport_->stop()) return transport_error("end", trouble);
  watch_->release();
  return {};
}

World::~World() {
  if (!watch_ || !heart_) return;
  watch_->guard("end", operation_deadline_);
  watch_->set_heart(nullptr);
  // The heart tells the others what was found until the watch has ended this process.
  if (health_->broken()) watch_.reset();
}

}  // namespace fathom::comm
