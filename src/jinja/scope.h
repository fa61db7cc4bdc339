// Scopes of a template's variables, and guards that restore the evaluator's state when it leaves a
// block or an expression, also by a Failure.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "jinja/error.h"
#include "jinja/value.h"

namespace fathom::jinja {

// The variables of a block of the template, and those around it.
struct Scope {
  explicit Scope(std::shared_ptr<const Scope> around = nullptr) : parent(std::move(around)) {}

  // Null if neither this block nor one around it has the variable.
  const Value* find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
      const auto found = scope->values.find(name);
      if (found != scope->values.end()) return &found->second;
    }
    return nullptr;
  }

  std::shared_ptr<const Scope> parent;
  std::map<std::string, Value, std::less<>> values;
};

// Replaces `current` by another scope for as long as the guard lives.
class ScopeGuard {
 public:
  ScopeGuard(std::shared_ptr<Scope>& current, std::shared_ptr<Scope> scope)
      : current_(current), saved_(std::exchange(current, std::move(scope))) {}
  // A new scope inside the current one.
  explicit ScopeGuard(std::shared_ptr<Scope>& current)
      : ScopeGuard(current, std::make_shared<Scope>(current)) {}
  ~ScopeGuard() { current_ = std::move(saved_); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  std::shared_ptr<Scope>& current_;
  std::shared_ptr<Scope> saved_;
};

// Bounds the C++ stack, whatever macros call each other.
class DepthGuard {
 public:
  explicit DepthGuard(int& depth) : depth_(depth) {
    constexpr int kMaxDepth = 600;
    if (depth >= kMaxDepth) {
      fail_limit("expected macros and expressions at most 600 levels deep, got deeper ones");
    }
    ++depth_;
  }
  ~DepthGuard() { --depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  int& depth_;
};

}  // namespace fathom::jinja
