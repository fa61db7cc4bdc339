#include "jinja/cursor.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/error.h"

namespace fathom::jinja {
namespace {

// Nested blocks, parentheses and the like.
constexpr int kMaxNesting = 150;

}  // namespace

const Token& TokenCursor::take() {
  const Token& token = tokens_[at_];
  if (token.kind != TokenKind::kEnd) ++at_;
  return token;
}

bool TokenCursor::skip_operator(std::string_view text) {
  if (!at_operator(text)) return false;
  take();
  return true;
}

bool TokenCursor::skip_name(std::string_view text) {
  if (!at_name(text)) return false;
  take();
  return true;
}

void TokenCursor::expect_operator(std::string_view text) {
  if (!skip_operator(text)) fail_expecting(fmt::format("'{}'", text));
}

void TokenCursor::expect_name(std::string_view text) {
  if (!skip_name(text)) fail_expecting(fmt::format("'{}'", text));
}

const Token& TokenCursor::expect(TokenKind kind, std::string_view what) {
  if (!at(kind)) fail_expecting(what);
  return take();
}

const Token& TokenCursor::expect_identifier() {
  if (!at(TokenKind::kName) || is_keyword(peek().text)) fail_expecting("a name");
  return take();
}

void TokenCursor::fail_expecting(std::string_view what) const {
  fail(fmt::format("expected {}, got {}", what, describe(peek())), line());
}

void TokenCursor::enter() {
  if (++depth_ > kMaxNesting) {
    fail(fmt::format("expected at most {} levels of nesting, got more", kMaxNesting), line());
  }
}

bool is_keyword(std::string_view name) {
  constexpr std::string_view kKeywords[] = {"and", "or", "not", "in", "is", "if", "else"};
  return std::find(std::begin(kKeywords), std::end(kKeywords), name) != std::end(kKeywords);
}

}  // namespace fathom::jinja
