// One request at a gateway: runs on one engine at a time, and goes on at another when that one is
// lost.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "gateway/continuation.h"
#include "rpc/engine_link.h"

namespace fathom::gateway {

// What a relay asks of the fleet that it belongs to.
class RelayHost {
 public:
  virtual ~RelayHost() = default;
  // An engine for a request, of that kind if there is one, and not `avoid` if there is another: of
  // two chosen at random the one with less to do. Null where none serves.
  virtual std::shared_ptr<rpc::EngineLink> choose(const rpc::EngineLink* avoid,
                                                  const std::optional<rpc::Manifest>& kind) = 0;
  // The last event is told. The host may be gone when this returns.
  virtual void forget(engine::RequestId id) = 0;
};

struct RelayLimits {
  // How long a request that has begun waits for an engine to go on at, and how often it may.
  std::chrono::milliseconds patience{30'000};
  int most_attempts = 8;
};

// Thread-safe. The listener hears one event at a time.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  using Clock = rpc::EngineLink::Clock;

  // `first`: the first part of its API request, whose engine it is to begin at; null: none, or it
  // has ended.
  Relay(RelayHost& host, RelayLimits limits, engine::RequestId id, engine::Request request,
        engine::Listener listener, std::shared_ptr<Relay> first);

  // Looks for an engine: now, and at each tick while it has none.
  void start();
  void tick(Clock::time_point now);
  void cancel();

  engine::RequestId id() const { return id_; }
  uint64_t owner() const { return answer_.original().owner; }
  bool waits() const;  // for an engine, or in an engine's queue

 private:
  class Run;
  struct Place {
    std::shared_ptr<rpc::EngineLink> link;
    rpc::RequestNumber number = 0;
  };

  using Lock = std::unique_lock<std::mutex>;

  void place();
  Place where() const;
  void take(const Run& run, const rpc::RequestEvent& event);
  void lost(const Run& run, const std::string& reason);
  // Each with the lock held, and released for as long as the listener runs, which may cancel.
  void tell(Lock& lock, engine::Event event);
  void end(Lock& lock, engine::FinishReason finish, std::optional<Error> error);
  // The run is over; looks for another engine, or ends where there were enough of them.
  void leave(Lock& lock, Error error);

  RelayHost& host_;
  const RelayLimits limits_;
  const engine::RequestId id_;

  mutable std::mutex mutex_;  // guards all below
  engine::Listener listener_;
  Continuation answer_;
  std::shared_ptr<Relay> first_;  // until it has begun
  std::shared_ptr<Run> run_;      // null: it looks for an engine
  Place place_;
  std::optional<rpc::Manifest> kind_;  // of the first engine
  const rpc::EngineLink* avoid_ = nullptr;
  int attempts_ = 0;
  std::optional<Clock::time_point> looking_since_;
  Error last_error_;  // why the last engine did not go on
  std::deque<engine::Event> untold_;
  bool telling_ = false;
  bool done_ = false;  // the last event is told, or will be
};

}  // namespace fathom::gateway
