#include "gateway/relay.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "grammar/compiled_grammar.h"

namespace fathom::gateway {

using engine::Event;
using engine::FinishReason;

// What an engine says of its part of the answer, as long as it is the current one.
class Relay::Run final : public rpc::Attempt {
 public:
  explicit Run(std::shared_ptr<Relay> relay) : relay_(std::move(relay)) {}
  void event(const rpc::RequestEvent& event) override { relay_->take(*this, event); }
  void lost(const std::string& reason) override { relay_->lost(*this, reason); }

 private:
  const std::shared_ptr<Relay> relay_;
};

namespace {

// Errors that another engine need not have.
bool is_the_engines(ErrorCode code) {
  return code == ErrorCode::kInternal || code == ErrorCode::kUnavailable ||
         code == ErrorCode::kIo || code == ErrorCode::kCancelled;
}

rpc::Submit to_submit(engine::Request request) {
  rpc::Submit submit;
  if (request.grammar != nullptr) {
    submit.grammar = grammar::GrammarSource{grammar::SourceKind::kRules, request.grammar->rules()};
  }
  request.grammar = nullptr;
  submit.request = std::move(request);
  return submit;
}

}  // namespace

Relay::Relay(RelayHost& host, RelayLimits limits, engine::RequestId id, engine::Request request,
             engine::Listener listener, std::shared_ptr<Relay> first)
    : host_(host),
      limits_(limits),
      id_(id),
      listener_(std::move(listener)),
      answer_(std::move(request)),
      first_(std::move(first)) {}

Relay::Place Relay::where() const {
  const std::lock_guard lock(mutex_);
  return place_;
}

bool Relay::waits() const {
  const std::lock_guard lock(mutex_);
  return !done_ && answer_.usage().completion_tokens == 0;
}

void Relay::start() {
  place();
}

void Relay::place() {
  std::optional<rpc::Manifest> kind;
  const rpc::EngineLink* avoid = nullptr;
  rpc::Submit submit;
  std::shared_ptr<Run> run;
  std::shared_ptr<Relay> first;
  {
    const std::lock_guard lock(mutex_);
    if (done_ || run_) return;
    run = run_ = std::make_shared<Run>(shared_from_this());
    first = std::exchange(first_, nullptr);
    kind = kind_;
    avoid = avoid_;
    submit = to_submit(answer_.request());
    answer_.begin_attempt();
    // From the second attempt on it takes its turn alone: the other parts may be elsewhere.
    if (attempts_++ > 0) submit.request.parts = 1;
  }
  const Place beside = first ? first->where() : Place();
  submit.part_of = beside.number;
  const auto link = beside.link ? beside.link : host_.choose(avoid, kind);
  const rpc::Manifest chosen = link ? link->status().welcome.manifest : rpc::Manifest();
  const auto number = link ? link->submit(std::move(submit), run) : std::nullopt;
  Lock lock(mutex_);
  if (!number) {
    if (run_ == run) {
      --attempts_;
      leave(lock, {ErrorCode::kUnavailable, "no engine of this model is there"});
    }
    return;
  }
  if (run_ != run || done_) {  // lost already, or nobody waits any more
    lock.unlock();
    return link->cancel(*number);
  }
  place_ = {link, *number};
  if (!kind_) kind_ = chosen;
}

void Relay::take(const Run& run, const rpc::RequestEvent& event) {
  Lock lock(mutex_);
  if (run_.get() != &run || done_) return;
  const std::optional<FinishReason> finish = event.event.finish;
  const bool refused = finish == FinishReason::kRefused;
  if (!refused && finish != FinishReason::kError && finish != FinishReason::kCancelled) {
    looking_since_.reset();
    return tell(lock, event.event);
  }
  const Error error =
      event.event.error.value_or(Error{ErrorCode::kUnavailable, "the engine is shutting down"});
  // A queue that is full is the client's to hear of, unless its answer has begun.
  const bool full = refused && error.code == ErrorCode::kResourceExhausted;
  if (is_the_engines(error.code) || (full && answer_.accepted())) return leave(lock, error);
  end(lock, refused && !answer_.accepted() ? FinishReason::kRefused : FinishReason::kError, error);
}

void Relay::lost(const Run& run, const std::string& reason) {
  Lock lock(mutex_);
  if (run_.get() != &run || done_) return;
  leave(lock, {ErrorCode::kUnavailable, reason});
}

void Relay::leave(Lock& lock, Error error) {
  run_ = nullptr;
  avoid_ = place_.link.get();
  place_ = {};
  last_error_ = std::move(error);
  if (answer_.complete()) return end(lock, FinishReason::kLength, std::nullopt);
  const bool first = !looking_since_;
  if (first) looking_since_ = Clock::now();
  if (attempts_ == 0) return end(lock, FinishReason::kRefused, last_error_);
  if (attempts_ >= limits_.most_attempts) {
    return end(lock, answer_.accepted() ? FinishReason::kError : FinishReason::kRefused,
               last_error_);
  }
  if (!first) return;  // again at the next tick
  lock.unlock();
  place();
  lock.lock();
}

void Relay::tick(Clock::time_point now) {
  {
    Lock lock(mutex_);
    if (done_ || run_) return;
    if (looking_since_ && now - *looking_since_ > limits_.patience) {
      return end(lock, answer_.accepted() ? FinishReason::kError : FinishReason::kRefused,
                 last_error_);
    }
  }
  place();
}

void Relay::cancel() {
  Place place;
  {
    Lock lock(mutex_);
    if (done_) return;
    place = std::exchange(place_, {});
    end(lock, FinishReason::kCancelled, std::nullopt);
  }
  if (place.link) place.link->cancel(place.number);
}

void Relay::end(Lock& lock, FinishReason finish, std::optional<Error> error) {
  Event event;
  event.finish = finish;
  event.error = std::move(error);
  event.usage = answer_.usage();
  done_ = true;
  run_ = nullptr;
  untold_.push_back(std::move(event));
  tell(lock, {});
}

void Relay::tell(Lock& lock, Event event) {
  if (!done_) {
    auto told = answer_.translate(std::move(event));
    if (!told) return;
    if (told->finish) {
      done_ = true;
      run_ = nullptr;
    }
    untold_.push_back(std::move(*told));
  }
  if (telling_) return;  // whoever does comes to it
  telling_ = true;
  while (!untold_.empty()) {
    const Event next = std::move(untold_.front());
    untold_.pop_front();
    lock.unlock();
    listener_(next);
    lock.lock();
  }
  telling_ = false;
  if (!done_ || listener_ == nullptr) return;
  const engine::Listener listener = std::exchange(listener_, nullptr);  // freed unlocked
  lock.unlock();
  host_.forget(id_);
  lock.lock();
}

}  // namespace fathom::gateway
