// The parsed template. Immutable after parsing; heights are bounded by the parser, so that walking
// and freeing the trees cannot overflow the stack.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "jinja/operators.h"
#include "jinja/value.h"

namespace fathom::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

// A filter, test or function call's arguments; `native` is the filter or test.
struct CallSite {
  Callable::Native native = nullptr;
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> keyword;
};

struct ConstantNode {
  Value value;
};
struct NameNode {
  TextPtr name;
};
struct ListNode {
  std::vector<ExpressionPtr> items;
  bool tuple;
};
struct DictNode {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct AttributeNode {
  ExpressionPtr object;
  TextPtr name;
};
struct SubscriptNode {
  ExpressionPtr object;
  ExpressionPtr key;
};
struct SliceNode {
  ExpressionPtr object;
  ExpressionPtr start, stop, step;  // each may be null
};
struct CallNode {
  ExpressionPtr callee;
  CallSite site;
};
struct FilterNode {
  ExpressionPtr operand;
  CallSite site;
};
struct TestNode {
  ExpressionPtr operand;
  CallSite site;
  bool negated;
};
struct NotNode {
  ExpressionPtr operand;
};
struct SignNode {
  ExpressionPtr operand;
  bool negative;
};
struct ArithmeticNode {
  Arithmetic operation;
  ExpressionPtr left, right;
};
struct ConcatenateNode {
  ExpressionPtr left, right;
};
// `and` if !is_or.
struct LogicNode {
  bool is_or;
  ExpressionPtr left, right;
};
// first OP operand OP operand ..., true if every neighbouring pair compares so.
struct CompareNode {
  ExpressionPtr first;
  std::vector<std::pair<Comparison, ExpressionPtr>> rest;
};
// `then if condition else otherwise`; undefined without `otherwise`.
struct ConditionalNode {
  ExpressionPtr condition, then, otherwise;
};

struct Expression {
  using Node =
      std::variant<ConstantNode, NameNode, ListNode, DictNode, AttributeNode, SubscriptNode,
                   SliceNode, CallNode, FilterNode, TestNode, NotNode, SignNode, ArithmeticNode,
                   ConcatenateNode, LogicNode, CompareNode, ConditionalNode>;
  Node node;
  int line;
  int height;  // levels of expressions below, itself included
};

// What an assignment or a loop sets: a name, a namespace's attribute, or several of them.
struct Target {
  std::string name;       // empty for several
  std::string attribute;  // of the namespace `name`, or empty
  std::vector<Target> elements;
};

struct Statement;
using Block = std::vector<Statement>;

struct OutputNode {
  ExpressionPtr value;
};
struct IfNode {
  std::vector<std::pair<ExpressionPtr, Block>> branches;
  Block otherwise;
};
struct ForNode {
  Target target;
  ExpressionPtr iterable;
  ExpressionPtr condition;  // may be null
  Block body;
  Block otherwise;
};
struct SetNode {
  Target target;
  ExpressionPtr value;
};
// {% set x | filter %} ... {% endset %}
struct SetBlockNode {
  Target target;
  std::vector<CallSite> filters;
  Block body;
};
struct MacroNode {
  std::string name;
  // Without a default, a parameter that is not given is undefined.
  std::vector<std::pair<std::string, ExpressionPtr>> parameters;
  Block body;
};
// {% call(parameters) function(...) %} body {% endcall %}: `body` is the macro `caller`.
struct CallBlockNode {
  std::shared_ptr<const MacroNode> caller;
  ExpressionPtr call;
};
struct FilterBlockNode {
  std::vector<CallSite> filters;
  Block body;
};
struct BreakNode {};
struct ContinueNode {};
// {% generation %} ... {% endgeneration %}, which only marks what a model wrote.
struct GenerationNode {
  Block body;
};

struct Statement {
  using Node = std::variant<TextPtr, OutputNode, IfNode, ForNode, SetNode, SetBlockNode,
                            std::shared_ptr<const MacroNode>, CallBlockNode, FilterBlockNode,
                            BreakNode, ContinueNode, GenerationNode>;
  Node node;
  int line;
};

}  // namespace fathom::jinja
