// The statements of eval.h.
#include <fmt/format.h>

#include "jinja/error.h"
#include "jinja/eval.h"
#include "jinja/print.h"

namespace fathom::jinja {

Evaluator::Flow Evaluator::execute(const Block& block, TextBuilder& out) {
  for (const Statement& statement : block) {
    const Flow flow = execute(statement, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::execute(const Statement& statement, TextBuilder& out) {
  const DepthGuard guard(depth_);
  heap_.step();
  try {
    return std::visit([&](const auto& node) { return visit(node, out); }, statement.node);
  } catch (Failure& failure) {
    if (failure.line == 0) failure.line = statement.line;
    throw;
  }
}

Evaluator::Flow Evaluator::visit(const TextPtr& text, TextBuilder& out) {
  out.append(text->marked);
  return Flow::kNext;
}

Evaluator::Flow Evaluator::visit(const OutputNode& node, TextBuilder& out) {
  print(out, evaluate(*node.value));
  return Flow::kNext;
}

Evaluator::Flow Evaluator::visit(const IfNode& node, TextBuilder& out) {
  for (const auto& [condition, block] : node.branches) {
    if (truthy(evaluate(*condition))) return execute(block, out);
  }
  return execute(node.otherwise, out);
}

ListPtr Evaluator::loop_items(const ForNode& node) {
  ListPtr items = items_of(heap_, evaluate(*node.iterable));
  if (node.condition == nullptr) return items;
  std::vector<Value> chosen;
  for (const Value& item : items->items) {
    const ScopeGuard guard(scope_);
    assign(node.target, item);
    if (truthy(evaluate(*node.condition))) chosen.push_back(item);
  }
  const Value list = make_list(heap_, std::move(chosen));
  return *list.get<ListPtr>();
}

Evaluator::Flow Evaluator::visit(const ForNode& node, TextBuilder& out) {
  const ListPtr items = loop_items(node);
  // As in Jinja, `else` runs unless some round came to its end.
  bool any_round_ended = false;
  for (std::size_t i = 0; i < items->items.size(); ++i) {
    heap_.step();
    const ScopeGuard guard(scope_);
    scope_->values["loop"] = std::make_shared<const Loop>(Loop{items, i});
    assign(node.target, items->items[i]);
    const Flow flow = execute(node.body, out);
    if (flow == Flow::kBreak) break;
    any_round_ended = any_round_ended || flow == Flow::kNext;
  }
  if (any_round_ended || node.otherwise.empty()) return Flow::kNext;
  const ScopeGuard guard(scope_);
  return execute(node.otherwise, out);
}

Evaluator::Flow Evaluator::visit(const SetNode& node, TextBuilder&) {
  assign(node.target, evaluate(*node.value));
  return Flow::kNext;
}

Value Evaluator::apply_filters(const std::vector<CallSite>& filters, Value value) {
  for (const CallSite& site : filters) {
    Arguments arguments = evaluate_arguments(site);
    value = site.native(heap_, value, arguments);
  }
  return value;
}

Evaluator::Flow Evaluator::visit(const SetBlockNode& node, TextBuilder&) {
  TextBuilder text(heap_);
  {
    const ScopeGuard guard(scope_);
    const Flow flow = execute(node.body, text);
    if (flow != Flow::kNext) return flow;
  }
  assign(node.target, apply_filters(node.filters, finish_text(std::move(text))));
  return Flow::kNext;
}

Evaluator::Flow Evaluator::visit(const std::shared_ptr<const MacroNode>& node, TextBuilder&) {
  scope_->values[node->name] = make_macro(node);
  return Flow::kNext;
}

Evaluator::Flow Evaluator::visit(const CallBlockNode& node, TextBuilder& out) {
  const auto& call_node = std::get<CallNode>(node.call->node);
  const Value callee = evaluate(*call_node.callee);
  Arguments arguments = evaluate_arguments(call_node.site);
  arguments.keyword.emplace_back("caller", make_macro(node.caller));
  print(out, call(callee, arguments));
  return Flow::kNext;
}

Evaluator::Flow Evaluator::visit(const FilterBlockNode& node, TextBuilder& out) {
  TextBuilder text(heap_);
  const ScopeGuard guard(scope_);
  const Flow flow = execute(node.body, text);
  print(out, apply_filters(node.filters, finish_text(std::move(text))));
  return flow;
}

Evaluator::Flow Evaluator::visit(const BreakNode&, TextBuilder&) {
  return Flow::kBreak;
}

Evaluator::Flow Evaluator::visit(const ContinueNode&, TextBuilder&) {
  return Flow::kContinue;
}

Evaluator::Flow Evaluator::visit(const GenerationNode& node, TextBuilder& out) {
  const ScopeGuard guard(scope_);
  return execute(node.body, out);
}

void Evaluator::assign(const Target& target, const Value& value) {
  if (!target.elements.empty()) {
    const ListPtr items = items_of(heap_, value);
    if (items->items.size() != target.elements.size()) {
      fail(fmt::format("expected {} values to unpack, got {}", target.elements.size(),
                       items->items.size()));
    }
    for (std::size_t i = 0; i < items->items.size(); ++i) {
      assign(target.elements[i], items->items[i]);
    }
    return;
  }
  if (target.attribute.empty()) {
    scope_->values[target.name] = value;
    return;
  }
  const Value* object = scope_->find(target.name);
  Namespace* space = object == nullptr ? nullptr : object->name_space();
  if (space == nullptr) {
    fail(fmt::format("expected a namespace to set '{}' of, got {}", target.attribute,
                     object == nullptr ? "an undefined variable" : object->describe()));
  }
  if (value.name_space() != nullptr) fail("expected a plain value in a namespace, got a namespace");
  space->attributes[target.attribute] = value;
}

}  // namespace fathom::jinja
