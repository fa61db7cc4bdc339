#include "jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "jinja/cursor.h"
#include "jinja/error.h"
#include "jinja/expressions.h"

namespace fathom::jinja {
namespace {

class StatementParser {
 public:
  explicit StatementParser(TokenCursor& cursor) : cursor_(cursor), expressions_(cursor) {}

  Block parse_all() {
    Block block = parse_block({});
    if (!cursor_.at(TokenKind::kEnd)) {
      fail("expected no '" + cursor_.peek_second().text + "' here, got one", cursor_.line());
    }
    return block;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  // Statements up to a tag that begins with one of `ends`, or any end, else or elif tag.
  Block parse_block(Names ends) {
    const NestingGuard guard(cursor_);
    const int begin_line = tag_line_;
    Block block;
    while (!cursor_.at(TokenKind::kEnd) && !at_end_tag()) block.push_back(parse_statement());
    const bool expected =
        std::find(ends.begin(), ends.end(), cursor_.peek_second().text) != ends.end();
    if (ends.size() > 0 && (cursor_.at(TokenKind::kEnd) || !expected)) {
      const std::string end = std::string(*(ends.end() - 1));
      const Token& got = cursor_.at(TokenKind::kEnd) ? cursor_.peek() : cursor_.peek_second();
      fail(fmt::format("expected '{{% {} %}}' for the block at line {}, got {}", end, begin_line,
                       describe(got)),
           cursor_.line());
    }
    return block;
  }

  bool at_end_tag() const {
    const Token& name = cursor_.peek_second();
    if (!cursor_.at(TokenKind::kBlockBegin) || name.kind != TokenKind::kName) return false;
    return name.text == "else" || name.text == "elif" || name.text.starts_with("end");
  }

  // Skips {% name %}; the caller has seen that it is next.
  void take_end_tag(std::string_view name) {
    cursor_.expect(TokenKind::kBlockBegin, "'{%'");
    cursor_.expect_name(name);
    expect_block_end();
  }

  void expect_block_end() { cursor_.expect(TokenKind::kBlockEnd, "'%}'"); }

  Statement parse_statement() {
    const int line = tag_line_ = cursor_.line();
    if (cursor_.at(TokenKind::kText)) return {make_literal(cursor_.take().text), line};
    if (cursor_.at(TokenKind::kVariableBegin)) {
      cursor_.take();
      ExpressionPtr value = expressions_.parse_tuple();
      cursor_.expect(TokenKind::kVariableEnd, "'}}'");
      return {OutputNode{std::move(value)}, line};
    }
    cursor_.expect(TokenKind::kBlockBegin, "text or a tag");
    return {parse_tag(), line};
  }

  Statement::Node parse_tag() {
    const Token& name = cursor_.expect(TokenKind::kName, "the name of a tag");
    if (name.text == "if") return parse_if();
    if (name.text == "for") return parse_for();
    if (name.text == "set") return parse_set();
    if (name.text == "macro") return parse_macro();
    if (name.text == "call") return parse_call();
    if (name.text == "filter") return parse_filter();
    if (name.text == "generation") return parse_generation();
    if (name.text == "break") return parse_jump(BreakNode{}, name);
    if (name.text == "continue") return parse_jump(ContinueNode{}, name);
    throw Failure{ErrorCode::kUnsupported,
                  "expected a tag that chat templates use, got '" + name.text + "'", name.line};
  }

  IfNode parse_if() {
    IfNode node;
    do {
      ExpressionPtr condition = expressions_.parse_tuple();
      expect_block_end();
      node.branches.emplace_back(std::move(condition), parse_block({"elif", "else", "endif"}));
    } while (skip_tag_begin("elif"));
    if (skip_tag_begin("else")) {
      expect_block_end();
      node.otherwise = parse_block({"endif"});
    }
    take_end_tag("endif");
    return node;
  }

  // Skips `{% name` if it is next.
  bool skip_tag_begin(std::string_view name) {
    if (!cursor_.at(TokenKind::kBlockBegin) || cursor_.peek_second().text != name) return false;
    tag_line_ = cursor_.line();
    cursor_.take();
    cursor_.take();
    return true;
  }

  ForNode parse_for() {
    ForNode node;
    node.target = parse_target();
    cursor_.expect_name("in");
    node.iterable = expressions_.parse_loop_iterable();
    if (cursor_.skip_name("if")) node.condition = expressions_.parse();
    expect_block_end();
    ++loops_;
    node.body = parse_block({"else", "endfor"});
    --loops_;
    if (skip_tag_begin("else")) {
      expect_block_end();
      node.otherwise = parse_block({"endfor"});
    }
    take_end_tag("endfor");
    return node;
  }

  Statement::Node parse_jump(Statement::Node jump, const Token& name) {
    if (loops_ == 0) fail("expected '" + name.text + "' inside of a loop only", name.line);
    expect_block_end();
    return jump;
  }

  Target parse_one_target() {
    const NestingGuard guard(cursor_);
    if (cursor_.skip_operator("(")) {
      Target target = parse_target();
      cursor_.expect_operator(")");
      return target;
    }
    const Token& name = cursor_.expect_identifier();
    if (is_constant(name.text)) fail("expected a variable to set, got a constant", name.line);
    return {name.text, "", {}};
  }

  static bool is_constant(std::string_view name) {
    return name == "true" || name == "false" || name == "none" || name == "True" ||
           name == "False" || name == "None";
  }

  // Names, with commas between them if there are several.
  Target parse_target() {
    Target first = parse_one_target();
    if (!cursor_.at_operator(",")) return first;
    Target several;
    several.elements.push_back(std::move(first));
    while (cursor_.skip_operator(",")) {
      if (!cursor_.at(TokenKind::kName) && !cursor_.at_operator("(")) break;
      several.elements.push_back(parse_one_target());
    }
    return several;
  }

  Target parse_set_target() {
    Target target = parse_target();
    if (target.elements.empty() && cursor_.skip_operator(".")) {
      target.attribute = cursor_.expect(TokenKind::kName, "the name of an attribute").text;
    }
    return target;
  }

  Statement::Node parse_set() {
    Target target = parse_set_target();
    if (cursor_.skip_operator("=")) {
      ExpressionPtr value = expressions_.parse_tuple();
      expect_block_end();
      return SetNode{std::move(target), std::move(value)};
    }
    std::vector<CallSite> filters = expressions_.parse_filters();
    expect_block_end();
    Block body = parse_block({"endset"});
    take_end_tag("endset");
    return SetBlockNode{std::move(target), std::move(filters), std::move(body)};
  }

  std::vector<std::pair<std::string, ExpressionPtr>> parse_parameters() {
    std::vector<std::pair<std::string, ExpressionPtr>> parameters;
    cursor_.expect_operator("(");
    while (!cursor_.at_operator(")")) {
      if (!parameters.empty()) cursor_.expect_operator(",");
      if (cursor_.at_operator(")")) break;
      const Token& name = cursor_.expect_identifier();
      ExpressionPtr fallback;
      if (cursor_.skip_operator("=")) fallback = expressions_.parse();
      const bool had_default = !parameters.empty() && parameters.back().second != nullptr;
      if (had_default && fallback == nullptr) {
        fail("expected a default for '" + name.text + "' too, got none", name.line);
      }
      parameters.emplace_back(name.text, std::move(fallback));
    }
    cursor_.take();
    return parameters;
  }

  // A body outside of the loops around it.
  Block parse_function_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Block body = parse_block({end});
    loops_ = loops;
    take_end_tag(end);
    return body;
  }

  std::shared_ptr<const MacroNode> parse_macro() {
    auto macro = std::make_shared<MacroNode>();
    macro->name = cursor_.expect_identifier().text;
    macro->parameters = parse_parameters();
    expect_block_end();
    macro->body = parse_function_body("endmacro");
    return macro;
  }

  CallBlockNode parse_call() {
    auto caller = std::make_shared<MacroNode>();
    caller->name = "caller";
    if (cursor_.at_operator("(")) caller->parameters = parse_parameters();
    const int line = cursor_.line();
    ExpressionPtr call = expressions_.parse();
    if (!std::holds_alternative<CallNode>(call->node)) fail("expected a call after 'call'", line);
    expect_block_end();
    caller->body = parse_function_body("endcall");
    return {std::move(caller), std::move(call)};
  }

  FilterBlockNode parse_filter() {
    FilterBlockNode node;
    node.filters.push_back(expressions_.parse_filter());
    for (CallSite& site : expressions_.parse_filters()) node.filters.push_back(std::move(site));
    expect_block_end();
    node.body = parse_block({"endfilter"});
    take_end_tag("endfilter");
    return node;
  }

  GenerationNode parse_generation() {
    expect_block_end();
    GenerationNode node{parse_block({"endgeneration"})};
    take_end_tag("endgeneration");
    return node;
  }

  TokenCursor& cursor_;
  ExpressionParser expressions_;
  int loops_ = 0;     // around the statement being parsed
  int tag_line_ = 1;  // where the tag or text begins that is being parsed
};

}  // namespace

Block parse_template(std::string_view source) {
  TokenCursor cursor(tokenize(source));
  return StatementParser(cursor).parse_all();
}

}  // namespace fathom::jinja
