#include "jinja/eval.h"

#include <fmt/format.h>

#include "jinja/builtins.h"
#include "jinja/error.h"

namespace fathom::jinja {

MarkedText Evaluator::run(const Block& block) {
  TextBuilder out(heap_);
  execute(block, out);
  return out.take_text();
}

Value Evaluator::evaluate(const Expression& expression) {
  const DepthGuard guard(depth_);
  heap_.step();
  try {
    return std::visit([this](const auto& node) { return visit(node); }, expression.node);
  } catch (Failure& failure) {
    // The innermost expression is the one to blame.
    if (failure.line == 0) failure.line = expression.line;
    throw;
  }
}

Value Evaluator::visit(const ConstantNode& node) {
  return node.value;
}

Value Evaluator::visit(const NameNode& node) {
  const std::string_view name = node.name->marked.view();
  if (const Value* value = scope_->find(name)) return *value;
  if (const NamedNative* global = find_global(name)) {
    return std::make_shared<const Callable>(Callable{global->name, global->function});
  }
  return Undefined{node.name};
}

Value Evaluator::visit(const ListNode& node) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ExpressionPtr& item : node.items) items.push_back(evaluate(*item));
  return make_list(heap_, std::move(items), node.tuple);
}

Value Evaluator::visit(const DictNode& node) {
  std::vector<DictEntry> entries;
  entries.reserve(node.entries.size());
  for (const auto& [key_node, value_node] : node.entries) {
    const Value key = evaluate(*key_node);
    const TextPtr* text = key.get<TextPtr>();
    if (text == nullptr)
      fail(fmt::format("dict: expected strings as keys, got {}", key.describe()));
    entries.push_back({*text, evaluate(*value_node)});
  }
  return make_dict(heap_, std::move(entries));
}

Value Evaluator::visit(const AttributeNode& node) {
  return attribute(heap_, evaluate(*node.object), node.name);
}

Value Evaluator::visit(const SubscriptNode& node) {
  const Value object = evaluate(*node.object);
  return subscript(heap_, object, evaluate(*node.key));
}

Value Evaluator::visit(const SliceNode& node) {
  const Value object = evaluate(*node.object);
  const auto bound = [this](const ExpressionPtr& expression) {
    return expression == nullptr ? Value(None{}) : evaluate(*expression);
  };
  const Value start = bound(node.start);
  const Value stop = bound(node.stop);
  const Value step = bound(node.step);
  return slice(heap_, object, &start, &stop, &step);
}

Arguments Evaluator::evaluate_arguments(const CallSite& site) {
  Arguments arguments;
  arguments.positional.reserve(site.positional.size());
  for (const ExpressionPtr& argument : site.positional) {
    arguments.positional.push_back(evaluate(*argument));
  }
  for (const auto& [name, argument] : site.keyword) {
    arguments.keyword.emplace_back(name, evaluate(*argument));
  }
  return arguments;
}

Value Evaluator::visit(const CallNode& node) {
  const Value callee = evaluate(*node.callee);
  Arguments arguments = evaluate_arguments(node.site);
  return call(callee, arguments);
}

Value Evaluator::visit(const FilterNode& node) {
  const Value operand = evaluate(*node.operand);
  Arguments arguments = evaluate_arguments(node.site);
  return node.site.native(heap_, operand, arguments);
}

Value Evaluator::visit(const TestNode& node) {
  const Value operand = evaluate(*node.operand);
  Arguments arguments = evaluate_arguments(node.site);
  return truthy(node.site.native(heap_, operand, arguments)) != node.negated;
}

Value Evaluator::visit(const NotNode& node) {
  return !truthy(evaluate(*node.operand));
}

Value Evaluator::visit(const SignNode& node) {
  const Value operand = evaluate(*node.operand);
  if (node.negative) return negate(operand);
  return arithmetic(heap_, Arithmetic::kAdd, Integer{0}, operand);
}

Value Evaluator::visit(const ArithmeticNode& node) {
  const Value left = evaluate(*node.left);
  return arithmetic(heap_, node.operation, left, evaluate(*node.right));
}

Value Evaluator::visit(const ConcatenateNode& node) {
  const Value left = evaluate(*node.left);
  return concatenate(heap_, left, evaluate(*node.right));
}

Value Evaluator::visit(const LogicNode& node) {
  Value left = evaluate(*node.left);
  return truthy(left) == node.is_or ? left : evaluate(*node.right);
}

Value Evaluator::visit(const CompareNode& node) {
  Value left = evaluate(*node.first);
  for (const auto& [comparison, operand] : node.rest) {
    Value right = evaluate(*operand);
    if (!compare(heap_, comparison, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Evaluator::visit(const ConditionalNode& node) {
  if (truthy(evaluate(*node.condition))) return evaluate(*node.then);
  return node.otherwise == nullptr ? Value() : evaluate(*node.otherwise);
}

Value Evaluator::call(const Value& callee, Arguments& arguments) {
  const Callable* callable = callee.callable();
  if (callable == nullptr)
    fail(fmt::format("expected a function to call, got {}", callee.describe()));
  if (callable->native != nullptr) return callable->native(heap_, callable->subject, arguments);
  return call_macro(*callable, arguments);
}

Value Evaluator::make_macro(std::shared_ptr<const MacroNode> macro) {
  // The template outlives every rendering, so a plain pointer to its node is enough.
  const MacroNode* node = macro.get();
  return std::make_shared<const Callable>(Callable{node->name, nullptr, {}, node, scope_});
}

Value Evaluator::call_macro(const Callable& callable, Arguments& arguments) {
  const MacroNode& macro = *callable.macro;
  const std::shared_ptr<Scope> defined_in = callable.scope.lock();
  if (defined_in == nullptr)
    fail(fmt::format("expected the block of macro '{}' to be running", macro.name));
  auto scope = std::make_shared<Scope>(defined_in);
  std::erase_if(arguments.keyword, [&](auto& argument) {
    if (argument.first != "caller") return false;
    scope->values["caller"] = argument.second;
    return true;
  });
  std::vector<std::string_view> names;
  for (const auto& [name, fallback] : macro.parameters) names.push_back(name);
  const auto bound = arguments.bind(macro.name, names);
  const ScopeGuard guard(scope_, std::move(scope));
  for (std::size_t i = 0; i < bound.size(); ++i) {
    const auto& [name, fallback] = macro.parameters[i];
    Value value = bound[i] != nullptr ? *bound[i] : Value(Undefined{make_literal(name)});
    if (bound[i] == nullptr && fallback != nullptr) value = evaluate(*fallback);
    scope_->values[name] = std::move(value);
  }
  TextBuilder out(heap_);
  execute(macro.body, out);
  return finish_text(std::move(out));
}

}  // namespace fathom::jinja
