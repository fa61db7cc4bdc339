// One gateway's requests at an engine: submitted in the order that their parts need, their events
// gathered and sent a step at a time, and all of them cancelled when the gateway goes away.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "rpc/grammar_workers.h"
#include "rpc/transport.h"

namespace fathom::rpc {

// Thread-safe. The engine is never called with a lock held.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Clock = std::chrono::steady_clock;

  Session(engine::Engine& engine, GrammarWorkers& grammars, std::shared_ptr<ToGateway> out)
      : engine_(engine), grammars_(grammars), out_(std::move(out)) {}

  void submit(Submit submit);
  void cancel(RequestNumber number);
  // The gateway is gone.
  void close();

  // Sends what the step brought; called when it is through.
  void step_done(uint64_t step);
  // Cancels what has reached its deadline.
  void cancel_late(Clock::time_point now);
  bool send(const FromEngine& message) { return out_->send(message); }
  void end(Error reason) { out_->end(std::move(reason)); }
  bool busy() const;

 private:
  struct Request {
    RequestNumber first = 0;  // of its parts
    std::optional<engine::RequestId> id = {};
    std::optional<Clock::time_point> deadline = {};
    bool cancelled = false;
  };
  // Parts of one API request, which reach the engine one after the other.
  struct Parts {
    engine::RequestId first_id = 0;
    std::deque<Submit> waiting;
    size_t live = 0;    // waiting, in the engine, or on the way there
    bool busy = false;  // one is on the way to the engine
    std::optional<Error> refused = {};
  };

  void advance(RequestNumber first);
  void place(Submit submit, Result<GrammarPtr> grammar);
  void take(RequestNumber number, const engine::Event& event);
  bool cancelled(RequestNumber number) const;
  void cancel_all(const std::function<bool(const Request&)>& which);
  // With mutex_ held.
  void forget(RequestNumber number);
  void drop_if_empty(RequestNumber first);
  void refuse(RequestNumber number, Error error);
  void send_events();

  engine::Engine& engine_;
  GrammarWorkers& grammars_;
  const std::shared_ptr<ToGateway> out_;

  mutable std::mutex mutex_;  // guards all below
  std::map<RequestNumber, Request> requests_;
  std::map<RequestNumber, Parts> parts_;  // by the first one's number
  std::vector<RequestEvent> events_;
  uint64_t step_ = 0;
  bool closed_ = false;
};

}  // namespace fathom::rpc
