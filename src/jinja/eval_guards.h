// What the evaluator undoes when it leaves a block or an expression, also by a Failure.
#pragma once

#include <utility>

#include "jinja/error.h"
#include "jinja/eval.h"

namespace fathom::jinja {

class Evaluator::ScopeGuard {
 public:
  ScopeGuard(Evaluator& evaluator, std::shared_ptr<Scope> scope)
      : evaluator_(evaluator), saved_(std::exchange(evaluator.scope_, std::move(scope))) {}
  // A new scope inside the current one.
  explicit ScopeGuard(Evaluator& evaluator)
      : ScopeGuard(evaluator, std::make_shared<Scope>(evaluator.scope_)) {}
  ~ScopeGuard() { evaluator_.scope_ = std::move(saved_); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Evaluator& evaluator_;
  std::shared_ptr<Scope> saved_;
};

// Bounds the C++ stack, whatever macros call each other.
class Evaluator::DepthGuard {
 public:
  explicit DepthGuard(Evaluator& evaluator) : evaluator_(evaluator) {
    constexpr int kMaxDepth = 600;
    if (evaluator.depth_ >= kMaxDepth) {
      fail_limit("expected macros and expressions at most 600 levels deep, got deeper ones");
    }
    ++evaluator.depth_;
  }
  ~DepthGuard() { --evaluator_.depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  Evaluator& evaluator_;
};

}  // namespace fathom::jinja
