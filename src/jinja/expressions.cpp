#include "jinja/expressions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "jinja/builtins.h"
#include "jinja/error.h"

namespace fathom::jinja {
namespace {

// Levels of one expression's tree, chains of operators and filters included.
constexpr int kMaxHeight = 250;

int height_of(const ExpressionPtr& expression) {
  return expression == nullptr ? 0 : expression->height;
}

int height_of(const CallSite& site) {
  int height = 0;
  for (const auto& argument : site.positional) height = std::max(height, height_of(argument));
  for (const auto& [name, argument] : site.keyword) height = std::max(height, height_of(argument));
  return height;
}

// An expression over parts of at most `height_below` levels.
ExpressionPtr make(int line, int height_below, Expression::Node node) {
  if (height_below >= kMaxHeight) {
    fail(fmt::format("expected at most {} levels in an expression, got more", kMaxHeight), line);
  }
  return std::make_unique<const Expression>(Expression{std::move(node), line, height_below + 1});
}

template <typename Node>
ExpressionPtr make_binary(int line, Node node) {
  const int height = std::max(height_of(node.left), height_of(node.right));
  return make(line, height, std::move(node));
}

}  // namespace

ExpressionPtr ExpressionParser::parse() {
  return parse_conditional();
}

ExpressionPtr ExpressionParser::parse_tuple() {
  return parse_items(&ExpressionParser::parse_conditional);
}

ExpressionPtr ExpressionParser::parse_loop_iterable() {
  return parse_items(&ExpressionParser::parse_or);
}

bool ExpressionParser::at_items_end() const {
  const bool at_bracket = cursor_.at_operator(")") || cursor_.at_operator("]");
  return at_bracket || cursor_.at_operator("=") || cursor_.at(TokenKind::kBlockEnd) ||
         cursor_.at(TokenKind::kVariableEnd) || cursor_.at(TokenKind::kEnd);
}

ExpressionPtr ExpressionParser::parse_items(Part part) {
  const int line = cursor_.line();
  ExpressionPtr first = (this->*part)();
  if (!cursor_.at_operator(",")) return first;
  int height = height_of(first);
  std::vector<ExpressionPtr> items;
  items.push_back(std::move(first));
  while (cursor_.skip_operator(",") && !at_items_end()) {
    items.push_back((this->*part)());
    height = std::max(height, height_of(items.back()));
  }
  return make(line, height, ListNode{std::move(items), true});
}

ExpressionPtr ExpressionParser::parse_conditional() {
  const NestingGuard guard(cursor_);
  ExpressionPtr value = parse_or();
  while (cursor_.at_name("if")) {
    const int line = cursor_.take().line;
    ExpressionPtr condition = parse_or();
    ExpressionPtr otherwise;
    if (cursor_.skip_name("else")) otherwise = parse_conditional();
    const int height = std::max({height_of(value), height_of(condition), height_of(otherwise)});
    value = make(line, height,
                 ConditionalNode{std::move(condition), std::move(value), std::move(otherwise)});
  }
  return value;
}

ExpressionPtr ExpressionParser::parse_or() {
  ExpressionPtr left = parse_and();
  while (cursor_.at_name("or")) {
    const int line = cursor_.take().line;
    ExpressionPtr right = parse_and();
    left = make_binary(line, LogicNode{true, std::move(left), std::move(right)});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  ExpressionPtr left = parse_not();
  while (cursor_.at_name("and")) {
    const int line = cursor_.take().line;
    ExpressionPtr right = parse_not();
    left = make_binary(line, LogicNode{false, std::move(left), std::move(right)});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  if (!cursor_.at_name("not")) return parse_comparison();
  const NestingGuard guard(cursor_);
  const int line = cursor_.take().line;
  ExpressionPtr operand = parse_not();
  const int height = height_of(operand);
  return make(line, height, NotNode{std::move(operand)});
}

std::optional<Comparison> ExpressionParser::take_comparison() {
  if (cursor_.skip_operator("==")) return Comparison::kEqual;
  if (cursor_.skip_operator("!=")) return Comparison::kNotEqual;
  if (cursor_.skip_operator("<=")) return Comparison::kLessEqual;
  if (cursor_.skip_operator(">=")) return Comparison::kGreaterEqual;
  if (cursor_.skip_operator("<")) return Comparison::kLess;
  if (cursor_.skip_operator(">")) return Comparison::kGreater;
  if (cursor_.skip_name("in")) return Comparison::kIn;
  const Token& second = cursor_.peek_second();
  if (cursor_.at_name("not") && second.kind == TokenKind::kName && second.text == "in") {
    cursor_.take();
    cursor_.take();
    return Comparison::kNotIn;
  }
  return std::nullopt;
}

ExpressionPtr ExpressionParser::parse_comparison() {
  const int line = cursor_.line();
  ExpressionPtr first = parse_sum();
  int height = height_of(first);
  std::vector<std::pair<Comparison, ExpressionPtr>> rest;
  while (const auto comparison = take_comparison()) {
    rest.emplace_back(*comparison, parse_sum());
    height = std::max(height, height_of(rest.back().second));
  }
  if (rest.empty()) return first;
  return make(line, height, CompareNode{std::move(first), std::move(rest)});
}

ExpressionPtr ExpressionParser::parse_arithmetic_level(
    Part part, const std::vector<std::pair<std::string_view, Arithmetic>>& operators) {
  ExpressionPtr left = (this->*part)();
  for (;;) {
    const auto found = std::find_if(operators.begin(), operators.end(), [this](const auto& entry) {
      return cursor_.at_operator(entry.first);
    });
    if (found == operators.end()) return left;
    const int line = cursor_.take().line;
    ExpressionPtr right = (this->*part)();
    left = make_binary(line, ArithmeticNode{found->second, std::move(left), std::move(right)});
  }
}

ExpressionPtr ExpressionParser::parse_sum() {
  static const std::vector<std::pair<std::string_view, Arithmetic>> kSums = {
      {"+", Arithmetic::kAdd}, {"-", Arithmetic::kSubtract}};
  return parse_arithmetic_level(&ExpressionParser::parse_concatenation, kSums);
}

ExpressionPtr ExpressionParser::parse_concatenation() {
  ExpressionPtr left = parse_product();
  while (cursor_.at_operator("~")) {
    const int line = cursor_.take().line;
    ExpressionPtr right = parse_product();
    left = make_binary(line, ConcatenateNode{std::move(left), std::move(right)});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_product() {
  static const std::vector<std::pair<std::string_view, Arithmetic>> kProducts = {
      {"*", Arithmetic::kMultiply},
      {"/", Arithmetic::kDivide},
      {"//", Arithmetic::kFloorDivide},
      {"%", Arithmetic::kModulo}};
  return parse_arithmetic_level(&ExpressionParser::parse_power, kProducts);
}

ExpressionPtr ExpressionParser::parse_power() {
  ExpressionPtr left = parse_unary(true);
  while (cursor_.at_operator("**")) {
    const int line = cursor_.take().line;
    ExpressionPtr right = parse_unary(true);
    left = make_binary(line, ArithmeticNode{Arithmetic::kPower, std::move(left), std::move(right)});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filters) {
  ExpressionPtr value;
  if (cursor_.at_operator("-") || cursor_.at_operator("+")) {
    const NestingGuard guard(cursor_);
    const Token& sign = cursor_.take();
    ExpressionPtr operand = parse_unary(false);
    const int height = height_of(operand);
    value = make(sign.line, height, SignNode{std::move(operand), sign.text == "-"});
  } else {
    value = parse_primary();
  }
  value = parse_postfix(std::move(value));
  return with_filters ? parse_filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::parse_primary() {
  const Token& token = cursor_.peek();
  if (token.kind == TokenKind::kString) return parse_string();
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) return parse_number();
  if (token.kind == TokenKind::kName && !is_keyword(token.text)) return parse_name();
  if (cursor_.at_operator("(")) return parse_parentheses();
  if (cursor_.at_operator("[")) return parse_list();
  if (cursor_.at_operator("{")) return parse_dict();
  cursor_.fail_expecting("an expression");
}

ExpressionPtr ExpressionParser::parse_name() {
  const Token& token = cursor_.take();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return make(token.line, 0, ConstantNode{true});
  if (name == "false" || name == "False") return make(token.line, 0, ConstantNode{false});
  if (name == "none" || name == "None") return make(token.line, 0, ConstantNode{None{}});
  return make(token.line, 0, NameNode{make_literal(name)});
}

ExpressionPtr ExpressionParser::parse_string() {
  const int line = cursor_.line();
  std::string value;
  while (cursor_.at(TokenKind::kString)) value += cursor_.take().text;
  return make(line, 0, ConstantNode{make_literal(value)});
}

ExpressionPtr ExpressionParser::parse_number() {
  const Token& token = cursor_.take();
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  if (token.kind == TokenKind::kFloat) {
    double value = 0;
    if (std::from_chars(begin, end, value).ec == std::errc()) {
      return make(token.line, 0, ConstantNode{value});
    }
  } else {
    std::int64_t value = 0;
    if (std::from_chars(begin, end, value).ec == std::errc()) {
      return make(token.line, 0, ConstantNode{Integer{value}});
    }
  }
  fail("expected a number that fits in 64 bits, got '" + token.text + "'", token.line);
}

ExpressionPtr ExpressionParser::parse_parentheses() {
  const NestingGuard guard(cursor_);
  const int line = cursor_.take().line;
  if (cursor_.skip_operator(")")) return make(line, 0, ListNode{{}, true});
  ExpressionPtr value = parse_tuple();
  cursor_.expect_operator(")");
  return value;
}

ExpressionPtr ExpressionParser::parse_list() {
  const NestingGuard guard(cursor_);
  const int line = cursor_.take().line;
  int height = 0;
  std::vector<ExpressionPtr> items;
  while (!cursor_.at_operator("]")) {
    if (!items.empty()) cursor_.expect_operator(",");
    if (cursor_.at_operator("]")) break;
    items.push_back(parse());
    height = std::max(height, height_of(items.back()));
  }
  cursor_.take();
  return make(line, height, ListNode{std::move(items), false});
}

ExpressionPtr ExpressionParser::parse_dict() {
  const NestingGuard guard(cursor_);
  const int line = cursor_.take().line;
  int height = 0;
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
  while (!cursor_.at_operator("}")) {
    if (!entries.empty()) cursor_.expect_operator(",");
    if (cursor_.at_operator("}")) break;
    ExpressionPtr key = parse();
    cursor_.expect_operator(":");
    entries.emplace_back(std::move(key), parse());
    height = std::max({height, height_of(entries.back().first), height_of(entries.back().second)});
  }
  cursor_.take();
  return make(line, height, DictNode{std::move(entries)});
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr object) {
  for (;;) {
    if (cursor_.at_operator(".")) {
      object = parse_attribute(std::move(object));
    } else if (cursor_.at_operator("[")) {
      object = parse_subscript(std::move(object));
    } else if (cursor_.at_operator("(")) {
      object = parse_call(std::move(object));
    } else {
      return object;
    }
  }
}

ExpressionPtr ExpressionParser::parse_filters_and_tests(ExpressionPtr operand) {
  for (;;) {
    const int line = cursor_.line();
    if (cursor_.skip_operator("|")) {
      CallSite site = parse_filter();
      const int height = std::max(height_of(operand), height_of(site));
      operand = make(line, height, FilterNode{std::move(operand), std::move(site)});
    } else if (cursor_.at_name("is")) {
      operand = parse_test(std::move(operand));
    } else if (cursor_.at_operator("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExpressionPtr ExpressionParser::parse_attribute(ExpressionPtr object) {
  const int line = cursor_.take().line;
  const int height = height_of(object);
  if (cursor_.at(TokenKind::kInteger)) {
    ExpressionPtr key = parse_number();
    return make(line, height, SubscriptNode{std::move(object), std::move(key)});
  }
  // Keywords can be attributes: `tool.in` is one.
  const Token& name = cursor_.expect(TokenKind::kName, "a name or a number after '.'");
  return make(line, height, AttributeNode{std::move(object), make_literal(name.text)});
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr object) {
  const NestingGuard guard(cursor_);
  const int line = cursor_.take().line;
  ExpressionPtr key;
  if (!cursor_.at_operator(":")) key = parse_tuple();
  if (cursor_.at_operator(":")) return parse_slice(std::move(object), std::move(key), line);
  cursor_.expect_operator("]");
  const int height = std::max(height_of(object), height_of(key));
  return make(line, height, SubscriptNode{std::move(object), std::move(key)});
}

ExpressionPtr ExpressionParser::parse_slice(ExpressionPtr object, ExpressionPtr start, int line) {
  const auto parse_bound = [this]() -> ExpressionPtr {
    if (cursor_.at_operator(":") || cursor_.at_operator("]")) return nullptr;
    return parse();
  };
  cursor_.expect_operator(":");
  ExpressionPtr stop = parse_bound();
  ExpressionPtr step;
  if (cursor_.skip_operator(":")) step = parse_bound();
  cursor_.expect_operator("]");
  const int height =
      std::max({height_of(object), height_of(start), height_of(stop), height_of(step)});
  return make(line, height,
              SliceNode{std::move(object), std::move(start), std::move(stop), std::move(step)});
}

void ExpressionParser::parse_arguments(CallSite& site) {
  const NestingGuard guard(cursor_);
  cursor_.expect_operator("(");
  while (!cursor_.at_operator(")")) {
    if (!site.positional.empty() || !site.keyword.empty()) cursor_.expect_operator(",");
    if (cursor_.at_operator(")")) break;
    if (cursor_.at_operator("*") || cursor_.at_operator("**")) {
      fail("expected plain arguments, got '*', which is not supported", cursor_.line());
    }
    const Token& second = cursor_.peek_second();
    const bool is_keyword_argument =
        cursor_.at(TokenKind::kName) && second.kind == TokenKind::kOperator && second.text == "=";
    if (is_keyword_argument) {
      std::string name = cursor_.take().text;
      cursor_.take();
      site.keyword.emplace_back(std::move(name), parse());
    } else if (site.keyword.empty()) {
      site.positional.push_back(parse());
    } else {
      cursor_.fail_expecting("a keyword argument after another");
    }
  }
  cursor_.take();
}

ExpressionPtr ExpressionParser::parse_call(ExpressionPtr callee) {
  const int line = cursor_.line();
  CallSite site;
  parse_arguments(site);
  const int height = std::max(height_of(callee), height_of(site));
  return make(line, height, CallNode{std::move(callee), std::move(site)});
}

CallSite ExpressionParser::parse_filter() {
  CallSite site;
  const Token& name = cursor_.expect(TokenKind::kName, "the name of a filter");
  const NamedNative* filter = find_filter(name.text);
  if (filter == nullptr) {
    fail("expected the name of a supported filter, got '" + name.text + "'", name.line);
  }
  site.native = filter->function;
  if (cursor_.at_operator("(")) parse_arguments(site);
  return site;
}

std::vector<CallSite> ExpressionParser::parse_filters() {
  std::vector<CallSite> filters;
  while (cursor_.skip_operator("|")) filters.push_back(parse_filter());
  return filters;
}

bool ExpressionParser::at_test_argument() const {
  const Token& token = cursor_.peek();
  if (token.kind == TokenKind::kName) return !is_keyword(token.text);
  if (token.kind == TokenKind::kOperator) return token.text == "[" || token.text == "{";
  return token.kind == TokenKind::kString || token.kind == TokenKind::kInteger ||
         token.kind == TokenKind::kFloat;
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr operand) {
  const int line = cursor_.take().line;
  const bool negated = cursor_.skip_name("not");
  CallSite site;
  // `in` is a test, too.
  const Token& name = cursor_.expect(TokenKind::kName, "the name of a test");
  const NamedNative* test = find_test(name.text);
  if (test == nullptr) {
    fail("expected the name of a supported test, got '" + name.text + "'", name.line);
  }
  site.native = test->function;
  if (cursor_.at_operator("(")) {
    parse_arguments(site);
  } else if (at_test_argument()) {
    const NestingGuard guard(cursor_);
    site.positional.push_back(parse_postfix(parse_primary()));
  }
  const int height = std::max(height_of(operand), height_of(site));
  return make(line, height, TestNode{std::move(operand), std::move(site), negated});
}

}  // namespace fathom::jinja
