#include "rpc/grammar_workers.h"

#include <fmt/format.h>

#include <utility>

namespace fathom::rpc {

GrammarWorkers::GrammarWorkers(grammar::Compiler& compiler, Limits limits)
    : compiler_(compiler), limits_(limits) {
  for (int i = 0; i < limits_.threads; ++i) threads_.emplace_back([this] { work(); });
}

GrammarWorkers::~GrammarWorkers() {
  std::deque<Job> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(jobs_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (const Job& job : left) {
    job.done(Error{ErrorCode::kUnavailable, "the engine is shutting down"});
  }
}

void GrammarWorkers::compile(grammar::GrammarSource source, std::function<bool()> unwanted,
                             Done done) {
  Job job{std::move(source), std::move(unwanted), std::move(done)};
  if (add(job)) return;
  job.done(Error{ErrorCode::kResourceExhausted,
                 fmt::format("the engine has too many grammars to compile: expected at most {} or "
                             "{} bytes to wait",
                             limits_.waiting, limits_.waiting_bytes)});
}

bool GrammarWorkers::add(Job& job) {
  {
    const std::lock_guard lock(mutex_);
    const size_t bytes = job.source.text.size();
    if (jobs_.size() >= limits_.waiting || bytes > limits_.waiting_bytes - bytes_) return false;
    bytes_ += bytes;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void GrammarWorkers::work() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      bytes_ -= job.source.text.size();
    }
    const auto stopping = [this, &job] {
      if (job.unwanted()) return true;
      const std::lock_guard lock(mutex_);
      return stopping_;
    };
    job.done(compiler_.compile(job.source,
                               std::make_shared<WorkBudget>(WorkBudget::kDefaultUnits,
                                                            WorkBudget::kDefaultBytes, stopping)));
  }
}

}  // namespace fathom::rpc
