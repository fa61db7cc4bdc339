// Parses Jinja's expressions, with its precedences, from low to high: inline if, or, and, not,
// comparisons, + and -, ~, * / // %, **, sign, then calls, subscripts, filters and tests.
#pragma once

#include <vector>

#include "jinja/ast.h"
#include "jinja/cursor.h"

namespace fathom::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenCursor& cursor) : cursor_(cursor) {}

  ExpressionPtr parse();
  // One expression, or several with commas between them, which make a tuple.
  ExpressionPtr parse_tuple();
  // The same without inline ifs at the top: what follows `for x in`.
  ExpressionPtr parse_loop_iterable();
  // `| name(arguments)`, the `|` being passed already.
  CallSite parse_filter();
  // `| a | b(c)`: any number of filters.
  std::vector<CallSite> parse_filters();

 private:
  using Part = ExpressionPtr (ExpressionParser::*)();

  ExpressionPtr parse_conditional();
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_comparison();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concatenation();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filters);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_parentheses();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_number();
  ExpressionPtr parse_string();
  ExpressionPtr parse_name();

  ExpressionPtr parse_items(Part part);
  bool at_items_end() const;
  ExpressionPtr parse_arithmetic_level(
      Part part, const std::vector<std::pair<std::string_view, Arithmetic>>& operators);
  std::optional<Comparison> take_comparison();

  // What may follow a value: .name, [key], (arguments), | filter, is test.
  ExpressionPtr parse_postfix(ExpressionPtr object);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr operand);
  ExpressionPtr parse_attribute(ExpressionPtr object);
  ExpressionPtr parse_subscript(ExpressionPtr object);
  ExpressionPtr parse_slice(ExpressionPtr object, ExpressionPtr start, int line);
  ExpressionPtr parse_call(ExpressionPtr callee);
  ExpressionPtr parse_test(ExpressionPtr operand);
  bool at_test_argument() const;
  void parse_arguments(CallSite& site);

  TokenCursor& cursor_;
};

}  // namespace fathom::jinja
