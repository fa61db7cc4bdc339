// Runs a parsed template.
//
// Python's Jinja and @huggingface/jinja (0.5) give the same for the templates of DeepSeek and for
// almost all others; tests/node/templates compares with the latter. Where they differ, this
// interpreter does as Python's:
// - `{{ none }}`, `{{ true }}` print None and True; lists and dicts print as Python's repr.
// - 'text' + 1 is an error; `~` takes any values.
// - an attribute of undefined is an error, and so is undefined | tojson; a `for` over undefined
//   has no rounds; undefined is not equal to none.
// - dict.items is the method even if the dict has such a key; dict['items'] is the key's value.
// - comparisons chain (1 < 2 < 3) and order strings; ~ binds more than +; % has the divisor's
//   sign; division by zero is an error.
// - strip() takes characters; capitalize() lowers the rest; strings are of whole characters.
// - tojson(indent=0) breaks lines; floats keep their ".0", in tojson as well.
// - a variable that is set in a loop's round is gone in the next.
// Beyond that this interpreter has no: include, import, extends, block, with, do, trans and
// recursive loops; `*` and `**` arguments; varargs and kwargs in macros; namespaces inside other
// values; dict keys other than strings; integers beyond 127 bits; infinite floats (an error here).
#pragma once

#include <memory>

#include "jinja/arguments.h"
#include "jinja/ast.h"
#include "jinja/scope.h"

namespace fathom::jinja {

class Evaluator {
 public:
  // `heap` must outlive the evaluator and all its values.
  Evaluator(Heap& heap, std::shared_ptr<Scope> variables)
      : heap_(heap), scope_(std::move(variables)) {}

  // Throws Failure.
  MarkedText run(const Block& block);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  Value evaluate(const Expression& expression);
  Value visit(const ConstantNode& node);
  Value visit(const NameNode& node);
  Value visit(const ListNode& node);
  Value visit(const DictNode& node);
  Value visit(const AttributeNode& node);
  Value visit(const SubscriptNode& node);
  Value visit(const SliceNode& node);
  Value visit(const CallNode& node);
  Value visit(const FilterNode& node);
  Value visit(const TestNode& node);
  Value visit(const NotNode& node);
  Value visit(const SignNode& node);
  Value visit(const ArithmeticNode& node);
  Value visit(const ConcatenateNode& node);
  Value visit(const LogicNode& node);
  Value visit(const CompareNode& node);
  Value visit(const ConditionalNode& node);

  Arguments evaluate_arguments(const CallSite& site);
  Value call(const Value& callee, Arguments& arguments);
  Value call_macro(const Callable& callable, Arguments& arguments);
  Value make_macro(std::shared_ptr<const MacroNode> macro);
  Value apply_filters(const std::vector<CallSite>& filters, Value value);

  Flow execute(const Block& block, TextBuilder& out);
  Flow execute(const Statement& statement, TextBuilder& out);
  Flow visit(const TextPtr& text, TextBuilder& out);
  Flow visit(const OutputNode& node, TextBuilder& out);
  Flow visit(const IfNode& node, TextBuilder& out);
  Flow visit(const ForNode& node, TextBuilder& out);
  Flow visit(const SetNode& node, TextBuilder& out);
  Flow visit(const SetBlockNode& node, TextBuilder& out);
  Flow visit(const std::shared_ptr<const MacroNode>& node, TextBuilder& out);
  Flow visit(const CallBlockNode& node, TextBuilder& out);
  Flow visit(const FilterBlockNode& node, TextBuilder& out);
  Flow visit(const BreakNode& node, TextBuilder& out);
  Flow visit(const ContinueNode& node, TextBuilder& out);
  Flow visit(const GenerationNode& node, TextBuilder& out);

  ListPtr loop_items(const ForNode& node);
  void assign(const Target& target, const Value& value);

  Heap& heap_;
  std::shared_ptr<Scope> scope_;
  int depth_ = 0;
};

}  // namespace fathom::jinja
