// A place in the tokens of a template, and how deep the parser has gone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jinja/lexer.h"

namespace fathom::jinja {

class TokenCursor {
 public:
  explicit TokenCursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek() const { return tokens_[at_]; }
  // The token behind the next one, or the end.
  const Token& peek_second() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  int line() const { return peek().line; }
  // The end token is never passed.
  const Token& take();

  bool at(TokenKind kind) const { return peek().kind == kind; }
  bool at_operator(std::string_view text) const {
    return at(TokenKind::kOperator) && peek().text == text;
  }
  bool at_name(std::string_view text) const { return at(TokenKind::kName) && peek().text == text; }

  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);

  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  // `what` names the kind in the message.
  const Token& expect(TokenKind kind, std::string_view what);
  // A name that is no keyword of expressions.
  const Token& expect_identifier();

  [[noreturn]] void fail_expecting(std::string_view what) const;

  void enter();
  void leave() { --depth_; }

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

// One more level of nesting while it lives; fails at too many.
class NestingGuard {
 public:
  explicit NestingGuard(TokenCursor& cursor) : cursor_(cursor) { cursor_.enter(); }
  ~NestingGuard() { cursor_.leave(); }
  NestingGuard(const NestingGuard&) = delete;
  NestingGuard& operator=(const NestingGuard&) = delete;

 private:
  TokenCursor& cursor_;
};

// and, or, not, in, is, if, else: no variable can have such a name.
bool is_keyword(std::string_view name);

}  // namespace fathom::jinja
