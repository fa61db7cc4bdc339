#include "rpc/engine_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"

namespace fathom::rpc {

const char* to_string(LinkState state) {
  switch (state) {
    case LinkState::kAway:
      return "away";
    case LinkState::kCalling:
      return "calling";
    case LinkState::kServing:
      return "serving";
    case LinkState::kDraining:
      return "draining";
  }
  return "unknown";
}

class EngineLink::Handler final : public EngineHandler {
 public:
  Handler(std::weak_ptr<EngineLink> link, uint64_t call) : link_(std::move(link)), call_(call) {}
  void message(FromEngine message) override {
    if (const auto link = link_.lock()) link->take(call_, std::move(message));
  }
  void closed(const std::string& reason) override {
    if (const auto link = link_.lock()) link->lose(call_, reason);
  }

 private:
  const std::weak_ptr<EngineLink> link_;
  const uint64_t call_;
};

void EngineLink::close() {
  uint64_t call = 0;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    call = call_;
  }
  lose(call, "the gateway is shutting down");
}

LinkStatus EngineLink::status() const {
  const std::lock_guard lock(mutex_);
  return {state_, welcome_, load_, static_cast<int64_t>(attempts_.size()), reason_};
}

void EngineLink::tick(Clock::time_point now) {
  uint64_t call_number = 0;
  std::string reason;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if (state_ != LinkState::kAway) {
      call_number = call_;
      reason = failing(now);
    } else if (now < retry_at_) {
      return;
    }
  }
  if (call_number == 0) return call(now);
  if (!reason.empty()) lose(call_number, reason);
}

std::string EngineLink::failing(Clock::time_point now) const {
  if (state_ == LinkState::kCalling) {
    if (now - heard_.any <= options_.connect_within) return {};
    return fmt::format("engine {}: no welcome within {} ms", options_.address,
                       options_.connect_within.count());
  }
  if (now - heard_.any > options_.dead_after) {
    return fmt::format("engine {}: no heartbeat for {} ms", options_.address,
                       options_.dead_after.count());
  }
  if (now - heard_.step > options_.hung_after) {
    return fmt::format("engine {}: has work, and no step for {} ms", options_.address,
                       options_.hung_after.count());
  }
  return {};
}

void EngineLink::call(Clock::time_point now) {
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = ++call_;
    state_ = LinkState::kCalling;
    heard_ = {now, now, 0};
  }
  auto stream = transport_.connect(options_.address, options_.security, options_.most_queued_bytes,
                                   std::make_unique<Handler>(weak_from_this(), number));
  if (!stream) return lose(number, stream.error().message);
  {
    const std::lock_guard lock(mutex_);
    if (call_ != number || state_ != LinkState::kCalling) return (*stream)->end(Error{});
    out_ = *stream;
  }
  Hello hello;
  hello.gateway = options_.gateway;
  (*stream)->send(ToEngine(hello));
}

void EngineLink::take(uint64_t call, FromEngine message) {
  bool joined = false;
  {
    const std::lock_guard lock(mutex_);
    if (call != call_ || state_ == LinkState::kAway) return;
    const Clock::time_point now = Clock::now();
    heard_.any = now;
    if (auto* welcome = std::get_if<Welcome>(&message)) {
      welcome_ = std::move(*welcome);
      state_ = LinkState::kServing;
      back_off_ = {};
      reason_.clear();
      joined = true;
    } else if (const auto* beat = std::get_if<Heartbeat>(&message)) {
      if (beat->step != heard_.steps || !beat->busy) heard_.step = now;
      heard_.steps = beat->step;
      if (state_ != LinkState::kCalling) {
        state_ = beat->draining ? LinkState::kDraining : LinkState::kServing;
      }
    } else if (const auto* load = std::get_if<Load>(&message)) {
      load_ = *load;
    }
  }
  if (joined) log_info("gateway: engine {} serves", options_.address);
  if (auto* step = std::get_if<StepEvents>(&message)) take_events(std::move(*step));
}

void EngineLink::take_events(StepEvents events) {
  for (const RequestEvent& event : events.events) {
    std::shared_ptr<Attempt> attempt;
    {
      const std::lock_guard lock(mutex_);
      const auto found = attempts_.find(event.number);
      if (found == attempts_.end()) continue;  // cancelled
      attempt = found->second;
      if (event.event.finish) attempts_.erase(found);
    }
    attempt->event(event);
  }
}

void EngineLink::lose(uint64_t call, const std::string& reason) {
  std::map<RequestNumber, std::shared_ptr<Attempt>> lost;
  std::shared_ptr<ToEngineStream> out;
  bool was_there = false;
  {
    const std::lock_guard lock(mutex_);
    if (call != call_ || state_ == LinkState::kAway) return;
    was_there = state_ != LinkState::kCalling;
    state_ = LinkState::kAway;
    reason_ = reason;
    lost.swap(attempts_);
    out.swap(out_);
    load_ = {};
    back_off_ = std::clamp(back_off_ * 2, options_.most_back_off / 8, options_.most_back_off);
    retry_at_ = Clock::now() + back_off_;
  }
  if (out) out->end(Error{ErrorCode::kUnavailable, reason});
  if (was_there) log_warning("gateway: {}; {} requests go on elsewhere", reason, lost.size());
  for (const auto& [number, attempt] : lost) attempt->lost(reason);
}

std::optional<RequestNumber> EngineLink::submit(Submit submit, std::shared_ptr<Attempt> attempt) {
  std::shared_ptr<ToEngineStream> out;
  RequestNumber number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != LinkState::kServing || closed_) return std::nullopt;
    number = ++last_number_;
    submit.number = number;
    attempts_.emplace(number, std::move(attempt));
    out = out_;
  }
  // A stream that takes nothing more is about to be lost, and this request with it.
  out->send(ToEngine(std::move(submit)));
  return number;
}

void EngineLink::cancel(RequestNumber number) {
  std::shared_ptr<ToEngineStream> out;
  {
    const std::lock_guard lock(mutex_);
    if (attempts_.erase(number) == 0) return;
    out = out_;
  }
  if (out) out->send(ToEngine(Cancel{number}));
}

}  // namespace fathom::rpc
