// What a request may cost before the engine sees it: counted, not timed, so that the same request
// is accepted or refused whatever the load.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/result.h"

namespace fathom {

// A unit is about 100 ns of a slow core. Bytes are those allocated in all, not those held. Used by
// one thread at a time.
class WorkBudget {
 public:
  static constexpr uint64_t kDefaultUnits = uint64_t{1} << 23;    // about a second
  static constexpr uint64_t kDefaultBytes = uint64_t{256} << 20;  // 256 MiB

  // `unwanted` is asked now and then whether nobody waits for the work any more, which then ends
  // as if the budget were spent.
  explicit WorkBudget(uint64_t units = kDefaultUnits, uint64_t bytes = kDefaultBytes,
                      std::function<bool()> unwanted = {})
      : units_(units), bytes_(bytes), unwanted_(std::move(unwanted)) {}

  // False if that is more than is left; from then on always.
  bool spend(uint64_t units, uint64_t bytes = 0) {
    spent_ += units;
    spent_bytes_ += bytes;
    if (spent_ > units_ || spent_bytes_ > bytes_) exhausted_ = true;
    if (spent_ >= next_question_) ask();
    return !exhausted_;
  }
  bool exhausted() const { return exhausted_; }
  uint64_t spent() const { return spent_; }
  uint64_t spent_bytes() const { return spent_bytes_; }

  // One `part`-th of what is left, as a budget of its own; what it spends counts here once it is
  // given to absorb().
  WorkBudget share(uint64_t part) const {
    if (exhausted_) return WorkBudget(0, 0, unwanted_);
    return WorkBudget((units_ - spent_) / part, (bytes_ - spent_bytes_) / part, unwanted_);
  }
  void absorb(const WorkBudget& part) {
    spend(std::min(part.spent_, part.units_), std::min(part.spent_bytes_, part.bytes_));
  }

  // kCancelled if nobody waits for the work, else kResourceExhausted.
  Error error() const;

 private:
  static constexpr uint64_t kUnitsBetweenQuestions = 1 << 14;

  void ask() {
    next_question_ = spent_ + kUnitsBetweenQuestions;
    if (!unwanted_ || !unwanted_()) return;
    cancelled_ = true;
    exhausted_ = true;
  }

  uint64_t units_;
  uint64_t bytes_;
  std::function<bool()> unwanted_;
  uint64_t spent_ = 0;
  uint64_t spent_bytes_ = 0;
  uint64_t next_question_ = kUnitsBetweenQuestions;
  bool exhausted_ = false;
  bool cancelled_ = false;
};

}  // namespace fathom
