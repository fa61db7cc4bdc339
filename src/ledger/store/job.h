// An operation that waits for a thread of the store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "ledger/store/transaction.h"

namespace fathom::ledger {

// What becomes of an operation while the store is down or its disk full.
enum class Patience {
  kRefuse,  // answered with kUnavailable: new work
  kWait,    // kept until the store is back or closed: what has happened and must be recorded
};

class Job {
 public:
  virtual ~Job() = default;
  // Whether what it did is to be kept. Called again if the transaction is.
  virtual bool attempt(Transaction& transaction) = 0;
  virtual void finish() = 0;                  // with what the last attempt came to
  virtual void fail(const Error& error) = 0;  // instead of finish()

  Patience patience = Patience::kRefuse;
  // Operations of a group run in this order, so that writers of several processes lock the rows of
  // organisations in the same one. Those of one organisation keep the order they came in.
  std::string order = {};
};

template <typename T>
class JobOf final : public Job {
 public:
  using Work = std::function<Result<T>(Transaction&)>;
  using Done = std::function<void(Result<T>)>;

  JobOf(Work work, Done done) : work_(std::move(work)), done_(std::move(done)) {}

  bool attempt(Transaction& transaction) override {
    result_.emplace(work_(transaction));
    return result_->ok();
  }
  void finish() override { done_(std::move(*result_)); }
  void fail(const Error& error) override { done_(error); }

 private:
  Work work_;
  Done done_;
  std::optional<Result<T>> result_;
};

}  // namespace fathom::ledger
