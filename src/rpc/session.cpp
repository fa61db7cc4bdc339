#include "rpc/session.h"

#include <fmt/format.h>

#include <utility>

namespace fathom::rpc {
namespace {

// Log-probabilities in a message at most, so that none holds up a heartbeat for long.
constexpr size_t kLogprobsAMessage = 1 << 15;

size_t count_logprobs(const engine::Event& event) {
  size_t count = 1;
  for (const engine::TokenLogprob& logprob : event.prompt_logprobs) count += 1 + logprob.top.size();
  if (event.logprob) count += 1 + event.logprob->top.size();
  return count;
}

}  // namespace

void Session::submit(Submit submit) {
  const RequestNumber number = submit.number;
  const RequestNumber first = submit.part_of != 0 ? submit.part_of : number;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if (number == 0 || requests_.contains(number)) {
      return out_->end(invalid_argument(
          fmt::format("submit: expected a number that no request has, got {}", number)));
    }
    Request& request = requests_[number];
    request.first = first;
    if (submit.deadline) request.deadline = Clock::now() + *submit.deadline;
    Parts& parts = parts_[first];  // new ones where the first part has ended
    ++parts.live;
    parts.waiting.push_back(std::move(submit));
  }
  advance(first);
}

void Session::advance(RequestNumber first) {
  while (true) {
    Submit next;
    {
      const std::lock_guard lock(mutex_);
      const auto parts = parts_.find(first);
      if (parts == parts_.end() || parts->second.busy || parts->second.waiting.empty()) return;
      next = std::move(parts->second.waiting.front());
      parts->second.waiting.pop_front();
      if (parts->second.refused) {
        refuse(next.number, *parts->second.refused);
        continue;
      }
      parts->second.busy = true;
    }
    if (!next.grammar) {
      place(std::move(next), GrammarPtr());
      continue;
    }
    const RequestNumber number = next.number;
    grammar::GrammarSource source = std::move(*next.grammar);
    grammars_.compile(
        std::move(source), [self = shared_from_this(), number] { return self->cancelled(number); },
        [self = shared_from_this(), first,
         next = std::make_shared<Submit>(std::move(next))](Result<GrammarPtr> grammar) {
          self->place(std::move(*next), std::move(grammar));
          self->advance(first);
        });
    return;
  }
}

void Session::place(Submit submit, Result<GrammarPtr> grammar) {
  const RequestNumber number = submit.number;
  engine::Request& request = submit.request;
  RequestNumber first = number;
  {
    const std::lock_guard lock(mutex_);
    const Request& known = requests_[number];
    first = known.first;
    Parts& parts = parts_[first];
    request.part_of = parts.first_id;
    if (known.cancelled || closed_) {
      grammar = Error{ErrorCode::kCancelled, "the request was cancelled"};
    }
    if (!grammar) {
      parts.busy = false;
      return refuse(number, grammar.error());
    }
  }
  request.grammar = std::move(*grammar);
  const engine::RequestId id = engine_.submit(
      std::move(request), [self = shared_from_this(), number](const engine::Event& event) {
        self->take(number, event);
      });
  bool cancel = false;
  {
    const std::lock_guard lock(mutex_);
    Parts& parts = parts_[first];
    parts.busy = false;
    if (number == first) parts.first_id = id;
    const auto known = requests_.find(number);
    if (known == requests_.end()) {  // it has ended already
      drop_if_empty(first);
    } else {
      known->second.id = id;
      cancel = known->second.cancelled || closed_;
    }
  }
  if (cancel) engine_.cancel(id);
}

void Session::take(RequestNumber number, const engine::Event& event) {
  const std::lock_guard lock(mutex_);
  if (event.finish == engine::FinishReason::kRefused) {
    return refuse(number, event.error.value_or(Error{ErrorCode::kInternal, "refused"}));
  }
  events_.push_back({number, event});
  if (event.accepted) return send_events();
  if (event.finish) forget(number);
}

void Session::cancel(RequestNumber number) {
  std::optional<engine::RequestId> id;
  {
    const std::lock_guard lock(mutex_);
    const auto request = requests_.find(number);
    if (request == requests_.end()) return;  // it has ended
    request->second.cancelled = true;
    id = request->second.id;
  }
  if (id) engine_.cancel(*id);
}

void Session::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    events_.clear();
  }
  cancel_all([](const Request&) { return true; });
}

void Session::cancel_late(Clock::time_point now) {
  cancel_all(
      [now](const Request& request) { return request.deadline && *request.deadline <= now; });
}

void Session::cancel_all(const std::function<bool(const Request&)>& which) {
  std::vector<engine::RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [number, request] : requests_) {
      if (request.cancelled || !which(request)) continue;
      request.cancelled = true;
      if (request.id) ids.push_back(*request.id);
    }
  }
  for (const engine::RequestId id : ids) engine_.cancel(id);
}

void Session::step_done(uint64_t step) {
  const std::lock_guard lock(mutex_);
  step_ = step;
  send_events();
}

bool Session::busy() const {
  const std::lock_guard lock(mutex_);
  return !requests_.empty();
}

bool Session::cancelled(RequestNumber number) const {
  const std::lock_guard lock(mutex_);
  const auto request = requests_.find(number);
  return closed_ || request == requests_.end() || request->second.cancelled;
}

void Session::forget(RequestNumber number) {
  const auto request = requests_.find(number);
  if (request == requests_.end()) return;
  const RequestNumber first = request->second.first;
  requests_.erase(request);
  --parts_[first].live;
  drop_if_empty(first);
}

void Session::drop_if_empty(RequestNumber first) {
  const auto parts = parts_.find(first);
  if (parts->second.live == 0 && !parts->second.busy) parts_.erase(parts);
}

void Session::refuse(RequestNumber number, Error error) {
  const auto request = requests_.find(number);
  if (request != requests_.end() && request->second.first == number) {
    parts_[number].refused = error;
  }
  engine::Event event;
  event.finish = engine::FinishReason::kRefused;
  event.error = std::move(error);
  events_.push_back({number, std::move(event)});
  forget(number);
  send_events();
}

void Session::send_events() {
  if (closed_) return events_.clear();
  StepEvents message{.step = step_, .events = {}};
  size_t logprobs = 0;
  for (RequestEvent& event : events_) {
    logprobs += count_logprobs(event.event);
    message.events.push_back(std::move(event));
    if (logprobs < kLogprobsAMessage) continue;
    out_->send(message);
    message.events.clear();
    logprobs = 0;
  }
  events_.clear();
  if (!message.events.empty()) out_->send(message);
}

}  // namespace fathom::rpc
