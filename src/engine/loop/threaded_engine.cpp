#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>

#include "engine/loop/request_check.h"
#include "engine/loop/step_loop.h"
#include "engine/loop/waiting_room.h"
#include "sampling/noise.h"

namespace fathom::engine {
namespace {

RequestLimits request_limits(const models::CausalLm& model) {
  const models::RunLimits& limits = model.limits();
  return {.vocab_size = model.vocab_size(),
          .max_context = limits.max_context,
          .cache_capacity = limits.num_kv_blocks * limits.kv_block_size};
}

uint64_t random_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// How often the engine asks sinks of KV blocks whether they have room by now.
constexpr std::chrono::milliseconds kSinkPollInterval(2);

// A StepLoop on a thread of its own. `mutex_` guards what that thread shares with others: the table
// of requests, the two mailboxes and the published counts. It is never held while a listener runs.
class ThreadedEngine final : public Engine {
 public:
  ThreadedEngine(std::unique_ptr<models::CausalLm> model, EngineOptions options,
                 std::unique_ptr<KvSource> source)
      : options_(std::move(options)),
        request_limits_(request_limits(*model)),
        task_limits_{max_context(), model->limits().kv_block_size},
        kv_format_(model->kv_block_format()),
        loop_(std::move(model), options_,
              {.begin = [this](std::span<Task* const> tasks) { let_in(tasks); },
               .retire = [this](Task& task) { return retire(task); },
               .wake = [this] { blocks_came(); }},
              std::move(source)),
        seed_base_(random_seed()),
        waiting_room_(options_.max_waiting),
        stats_(loop_.stats()) {
    const auto most = static_cast<size_t>(options_.max_waiting + options_.max_running);
    for (auto* mailbox : {&arrived_, &arriving_}) mailbox->reserve(most);
    for (auto* mailbox : {&cancelled_, &cancelling_}) mailbox->reserve(most);
    thread_ = std::thread([this] { run(); });
  }

  ~ThreadedEngine() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  RequestId submit(Request request, Listener listener) override;
  void cancel(RequestId id) override;
  void cancel_all() override;
  void drain() override;
  bool idle() const override;
  EngineStats stats() const override;
  int64_t waiting(uint64_t owner) const override;
  int64_t vocab_size() const override { return request_limits_.vocab_size; }
  models::KvBlockFormat kv_block_format() const override { return kv_format_; }
  int64_t max_context() const override {
    return std::min(request_limits_.max_context, request_limits_.cache_capacity);
  }

 private:
  Result<Task*> enter(Request request);  // with a place in the waiting room
  void leave(Task& task);
  int64_t num_waiting() const;  // needs mutex_
  void blocks_came();           // on another thread

  // The engine's thread:
  void run();
  bool take_mail();
  void cancel_requested();
  void cancel_everything();
  void publish();
  void let_in(std::span<Task* const> begun);
  std::unique_ptr<Task> retire(Task& task);

  const EngineOptions options_;
  const RequestLimits request_limits_;
  const TaskLimits task_limits_;
  const models::KvBlockFormat kv_format_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool blocks_came_ = false;

  StepLoop loop_;  // the engine's thread's alone, and so are the next two
  std::vector<Task*> arriving_;
  std::vector<RequestId> cancelling_;
  const uint64_t seed_base_;

  std::unordered_map<RequestId, std::unique_ptr<Task>> tasks_;  // waiting and running
  std::vector<Task*> arrived_;                                  // mailboxes
  std::vector<RequestId> cancelled_;
  WaitingRoom waiting_room_;  // those of tasks_ that are not begun
  EngineStats stats_;
  RequestId last_id_ = 0;
  bool draining_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

RequestId ThreadedEngine::submit(Request request, Listener listener) {
  FATHOM_CHECK(listener != nullptr, "submit: expected a listener");
  const Result<Task*> entered = enter(std::move(request));
  Event event;
  if (!entered) {
    event.finish = FinishReason::kRefused;
    event.error = entered.error();
    listener(event);
    return 0;
  }
  Task& task = **entered;
  const RequestId id = task.sequence.id;
  event.accepted = true;
  try {
    listener(event);
  } catch (const std::bad_alloc&) {
    leave(task);
    throw;
  }
  task.listener = std::move(listener);
  {
    const std::lock_guard lock(mutex_);
    task.arrived = true;
    arrived_.push_back(&task);
    if (task.cancel_requested) cancelled_.push_back(id);
  }
  wake_.notify_one();
  return id;
}

Result<Task*> ThreadedEngine::enter(Request request) {
  FATHOM_TRY(check_request(request, request_limits_));
  const int64_t parts = request.parts;
  FATHOM_ASSIGN(std::unique_ptr<Task> task,
                make_task(std::move(request), task_limits_, options_.eos_token_ids));
  Sequence& sequence = task->sequence;
  const std::lock_guard lock(mutex_);
  if (draining_) return Error{ErrorCode::kUnavailable, "submit: the engine is shutting down"};
  if (!waiting_room_.has_room(sequence.owner, sequence.request, parts)) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("submit: expected fewer than {} waiting requests, and no more of one "
                             "than places are free, got {}",
                             options_.max_waiting, waiting_room_.waiting(sequence.owner))};
  }
  sequence.id = ++last_id_;
  if (sequence.request == 0) sequence.request = sequence.id;
  waiting_room_.enter(sequence.owner, sequence.request);
  if (!sequence.sampling.seed) sequence.seed = sampling::noise_bits(seed_base_, sequence.id);
  Task* const entered = task.get();
  tasks_.emplace(sequence.id, std::move(task));
  return entered;
}

void ThreadedEngine::leave(Task& task) {
  const std::lock_guard lock(mutex_);
  waiting_room_.leave(task.sequence.owner, task.sequence.request);
  tasks_.erase(task.sequence.id);
}

void ThreadedEngine::cancel(RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = tasks_.find(id);
    if (found == tasks_.end() || std::exchange(found->second->cancel_requested, true)) return;
    if (found->second->arrived) cancelled_.push_back(id);
  }
  wake_.notify_one();
}

void ThreadedEngine::cancel_all() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, task] : tasks_) {
      if (!std::exchange(task->cancel_requested, true) && task->arrived) cancelled_.push_back(id);
    }
  }
  wake_.notify_one();
}

void ThreadedEngine::drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
}

bool ThreadedEngine::idle() const {
  const std::lock_guard lock(mutex_);
  return tasks_.empty();
}

EngineStats ThreadedEngine::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.waiting = num_waiting();
  stats.kv_fetched = loop_.kv_fetched();
  return stats;
}

int64_t ThreadedEngine::waiting(uint64_t owner) const {
  const std::lock_guard lock(mutex_);
  return waiting_room_.waiting(owner);
}

int64_t ThreadedEngine::num_waiting() const {
  return static_cast<int64_t>(tasks_.size()) - stats_.running;
}

void ThreadedEngine::blocks_came() {
  {
    const std::lock_guard lock(mutex_);
    blocks_came_ = true;
  }
  wake_.notify_one();
}

void ThreadedEngine::run() {
  while (take_mail()) {
    cancel_requested();
    loop_.transfer_blocks();
    if (loop_.has_steps()) {
      loop_.run();
      publish();
    }
    if (options_.after_events) options_.after_events();
  }
  cancel_everything();
  if (loop_.has_steps()) loop_.run();  // what is in flight, for nobody
  if (options_.after_events) options_.after_events();
}

// Sleeps until there is something to do; false when the engine is to stop.
bool ThreadedEngine::take_mail() {
  bool stopping = false;
  {
    std::unique_lock lock(mutex_);
    const auto has_mail = [this] {
      return stopping_ || blocks_came_ || !arrived_.empty() || !cancelled_.empty() ||
             loop_.has_work();
    };
    if (loop_.waits_for_sinks()) {
      wake_.wait_for(lock, kSinkPollInterval, has_mail);
    } else {
      wake_.wait(lock, has_mail);
    }
    blocks_came_ = false;
    arriving_.swap(arrived_);
    cancelling_.swap(cancelled_);
    stopping = stopping_;
  }
  for (Task* task : arriving_) loop_.add(*task);
  arriving_.clear();
  return !stopping;
}

void ThreadedEngine::cancel_requested() {
  for (const RequestId id : cancelling_) {
    Task* task = nullptr;  // it may have finished since
    {
      const std::lock_guard lock(mutex_);
      const auto found = tasks_.find(id);
      if (found != tasks_.end()) task = found->second.get();
    }
    if (task != nullptr) loop_.cancel(*task);
  }
  cancelling_.clear();
}

void ThreadedEngine::cancel_everything() {
  for (;;) {
    Task* task = nullptr;
    {
      const std::lock_guard lock(mutex_);
      draining_ = true;  // a listener may try again
      for (Task* late : arrived_) loop_.add(*late);
      arrived_.clear();
      if (tasks_.empty()) return;
      task = tasks_.begin()->second.get();
    }
    loop_.cancel(*task);
  }
}

void ThreadedEngine::let_in(std::span<Task* const> begun) {
  const std::lock_guard lock(mutex_);
  stats_ = loop_.stats();
  for (const Task* task : begun) waiting_room_.leave(task->sequence.owner, task->sequence.request);
}

void ThreadedEngine::publish() {
  const std::lock_guard lock(mutex_);
  stats_ = loop_.stats();
}

std::unique_ptr<Task> ThreadedEngine::retire(Task& task) {
  const std::lock_guard lock(mutex_);
  stats_ = loop_.stats();
  if (!task.begun) waiting_room_.leave(task.sequence.owner, task.sequence.request);
  const auto found = tasks_.find(task.sequence.id);
  std::unique_ptr<Task> owned = std::move(found->second);
  tasks_.erase(found);
  return owned;
}

Status check_options(const models::CausalLm& model, const EngineOptions& options) {
  const models::RunLimits& limits = model.limits();
  const std::pair<const char*, int64_t> sizes[] = {
      {"max_running", options.max_running},      {"max_waiting", options.max_waiting},
      {"prefill_chunk", options.prefill_chunk},  {"max_step_tokens", limits.max_step_tokens},
      {"max_logit_rows", limits.max_logit_rows}, {"max_step_sequences", limits.max_step_sequences},
      {"max_context", limits.max_context},       {"num_kv_blocks", limits.num_kv_blocks},
      {"kv_block_size", limits.kv_block_size},
  };
  for (const auto& [name, size] : sizes) {
    if (size < 1) {
      return invalid_argument(fmt::format("{}: expected at least 1, got {}", name, size), name);
    }
  }
  if (options.speculate < 0) {
    return invalid_argument(
        fmt::format("speculate: expected at least 0, got {}", options.speculate), "speculate");
  }
  for (const TokenId token : options.eos_token_ids) {
    if (token < 0 || token >= model.vocab_size()) {
      return invalid_argument(fmt::format("eos_token_ids: expected token ids in [0, {}), got {}",
                                          model.vocab_size(), token),
                              "eos_token_ids");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Engine>> make_engine(std::unique_ptr<models::CausalLm> model,
                                            EngineOptions options,
                                            std::unique_ptr<KvSource> source) {
  FATHOM_TRY(check_options(*model, options));
  return std::unique_ptr<Engine>(
      std::make_unique<ThreadedEngine>(std::move(model), std::move(options), std::move(source)));
}

}  // namespace fathom::engine
