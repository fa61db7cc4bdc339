// A gateway's link to one engine: connects, and connects again; judges by heartbeats whether the
// engine lives and by its step counter whether it hangs; carries requests, and tells each of them
// when the engine is lost, so that it can go on elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "rpc/transport.h"

namespace fathom::rpc {

// One request's run on one engine. Called on the transport's threads and the one that ticks,
// without a lock held; an event that was on its way may still come behind lost().
class Attempt {
 public:
  virtual ~Attempt() = default;
  virtual void event(const RequestEvent& event) = 0;
  // Nothing more comes from this engine.
  virtual void lost(const std::string& reason) = 0;
};

struct LinkOptions {
  std::string address;
  Security security;
  std::string gateway;  // for the engine's log
  size_t most_queued_bytes = size_t{64} << 20;
  std::chrono::milliseconds dead_after{1200};    // without a word: four heartbeats
  std::chrono::milliseconds hung_after{30'000};  // with work and without a step
  std::chrono::milliseconds connect_within{2000};
  std::chrono::milliseconds most_back_off{500};
};

enum class LinkState {
  kAway,     // lost or never there; tried again at retry_at
  kCalling,  // no welcome yet
  kServing,
  kDraining,  // takes nothing new
};

const char* to_string(LinkState state);

struct LinkStatus {
  LinkState state = LinkState::kAway;
  Welcome welcome;  // the last one
  Load load;
  int64_t attempts = 0;  // that run
  std::string reason;    // why it is away
};

// Thread-safe.
class EngineLink : public std::enable_shared_from_this<EngineLink> {
 public:
  using Clock = std::chrono::steady_clock;

  EngineLink(Transport& transport, LinkOptions options)
      : transport_(transport), options_(std::move(options)) {}
  // Before the last reference goes: cuts the stream. What runs is lost.
  void close();

  const std::string& address() const { return options_.address; }
  LinkStatus status() const;

  // Some ten times a second, by one thread: calls again where it is time, and gives up an engine
  // that is dead or hangs.
  void tick(Clock::time_point now);

  // Sends a request; `submit.number` is chosen here and returned. Nothing where the engine cannot
  // take it now: then `attempt` hears nothing.
  std::optional<RequestNumber> submit(Submit submit, std::shared_ptr<Attempt> attempt);
  // Its events are dropped from now on.
  void cancel(RequestNumber number);

 private:
  class Handler;
  struct Heard {
    Clock::time_point any{};   // the last message
    Clock::time_point step{};  // the last time that the counter moved, or there was no work
    uint64_t steps = 0;
  };

  void call(Clock::time_point now);
  void take(uint64_t call, FromEngine message);
  void take_events(StepEvents events);
  // What ends the call of that number, if it is the current one.
  void lose(uint64_t call, const std::string& reason);
  std::string failing(Clock::time_point now) const;  // with mutex_ held; empty: it does well

  Transport& transport_;
  const LinkOptions options_;

  mutable std::mutex mutex_;  // guards all below
  LinkState state_ = LinkState::kAway;
  uint64_t call_ = 0;  // number of this call; what earlier ones still say is dropped
  std::shared_ptr<ToEngineStream> out_;
  Welcome welcome_;
  Load load_;
  Heard heard_;
  std::string reason_ = "not called yet";
  Clock::time_point retry_at_{};
  std::chrono::milliseconds back_off_{0};
  RequestNumber last_number_ = 0;
  std::map<RequestNumber, std::shared_ptr<Attempt>> attempts_;
  bool closed_ = false;
};

}  // namespace fathom::rpc
