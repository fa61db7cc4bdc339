#include "base/work_budget.h"

namespace fathom {

Error WorkBudget::error() const {
  if (cancelled_) return {ErrorCode::kCancelled, "the client is gone"};
  return {ErrorCode::kResourceExhausted, "expected a grammar that takes at most " +
                                             std::to_string(units_) + " units of work and " +
                                             std::to_string(bytes_ >> 20) +
                                             " MiB to compile, got one that takes more"};
}

}  // namespace fathom
