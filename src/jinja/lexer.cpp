#include "jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/error.h"
#include "jinja/string_literal.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "*",
                                           "/",  "%",  "~",  "<",  ">",  "=",  ".", ":", "|",
                                           ",",  "(",  ")",  "[",  "]",  "{",  "}"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name_part(char c) {
  return is_name_start(c) || is_digit(c);
}

// All line ends as \n, and without one at the very end.
std::string normalized(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    result.push_back(source[i] == '\r' ? '\n' : source[i]);
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      lex_text();
      if (at_ < source_.size()) lex_tag();
    }
    push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return source_.substr(at_); }
  bool next_is(std::string_view expected) const { return rest().starts_with(expected); }

  void push(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void advance(std::size_t bytes) {
    const std::string_view passed = source_.substr(at_, bytes);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    if (!passed.empty()) line_starts_ = passed.back() == '\n';
    at_ += bytes;
  }

  void skip_space() { advance(leading_space(rest())); }

  // Where the next {{, {% or {# stands.
  std::size_t tag_begin() const {
    for (std::size_t found = source_.find('{', at_); found != std::string_view::npos;
         found = source_.find('{', found + 1)) {
      const char next = found + 1 < source_.size() ? source_[found + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') return found;
    }
    return source_.size();
  }

  // The text before a tag that begins at `end`, after white space control.
  std::string_view stripped_before(std::string_view text, std::size_t end) const {
    const std::string_view tag = source_.substr(end, 3);
    const char sign = tag.size() == 3 ? tag[2] : '\0';
    if (sign == '-') return text.substr(0, text.size() - trailing_space(text));
    if (sign == '+' || tag.size() < 2 || tag[1] == '{') return text;
    const std::size_t line_end = text.rfind('\n');
    const std::size_t line_begin = line_end == std::string_view::npos ? 0 : line_end + 1;
    if (line_begin == 0 && !line_starts_) return text;
    const std::string_view last_line = text.substr(line_begin);
    return trailing_space(last_line) == last_line.size() ? text.substr(0, line_begin) : text;
  }

  void push_text(std::size_t end) {
    const std::string_view text = stripped_before(source_.substr(at_, end - at_), end);
    if (!text.empty()) push(TokenKind::kText, std::string(text));
    advance(end - at_);
  }

  void lex_text() { push_text(tag_begin()); }

  // The tag's two bytes and the sign that may follow them.
  void enter_tag() {
    advance(2);
    if (next_is("-") || next_is("+")) advance(1);
  }

  void lex_tag() {
    if (next_is("{#")) {
      lex_comment();
    } else if (!lex_raw()) {
      const bool is_block = next_is("{%");
      push(is_block ? TokenKind::kBlockBegin : TokenKind::kVariableBegin, is_block ? "{%" : "{{");
      enter_tag();
      lex_expression(is_block);
    }
  }

  // Passes the end of a block or comment, `end` being %} or #}, and what it trims.
  void leave_tag(std::string_view end) {
    const bool strips = next_is("-");
    const bool keeps = next_is("+");
    advance(end.size() + (strips || keeps ? 1 : 0));
    if (strips) skip_space();
    if (!strips && !keeps && next_is("\n")) advance(1);
  }

  void lex_comment() {
    const int begin_line = line_;
    const std::size_t end = source_.find("#}", at_ + 2);
    if (end == std::string_view::npos) fail("expected '#}' for this '{#', got none", begin_line);
    const bool has_sign = end > at_ + 2 && (source_[end - 1] == '-' || source_[end - 1] == '+');
    advance(end - at_ - (has_sign ? 1 : 0));
    leave_tag("#}");
  }

  // Bytes of "{% NAME %}" with any signs and spaces, up to its end's sign, or 0.
  std::size_t bare_block(std::size_t at, std::string_view name) const {
    std::string_view tag = source_.substr(at);
    if (!tag.starts_with("{%")) return 0;
    tag.remove_prefix(2);
    if (tag.starts_with('-') || tag.starts_with('+')) tag.remove_prefix(1);
    tag.remove_prefix(leading_space(tag));
    if (!tag.starts_with(name)) return 0;
    tag.remove_prefix(name.size());
    tag.remove_prefix(leading_space(tag));
    const bool ends = tag.starts_with("%}") || tag.starts_with("-%}") || tag.starts_with("+%}");
    return ends ? source_.size() - at - tag.size() : 0;
  }

  bool lex_raw() {
    const std::size_t begin = bare_block(at_, "raw");
    if (begin == 0) return false;
    const int begin_line = line_;
    advance(begin);
    // Jinja keeps the line end after {% raw %}.
    const bool strips = next_is("-");
    advance(next_is("%}") ? 2 : 3);
    if (strips) skip_space();
    for (std::size_t end = source_.find("{%", at_); end != std::string_view::npos;
         end = source_.find("{%", end + 2)) {
      const std::size_t end_tag = bare_block(end, "endraw");
      if (end_tag == 0) continue;
      push_text(end);
      advance(end_tag);
      leave_tag("%}");
      return true;
    }
    fail("expected '{% endraw %}' for this '{% raw %}', got none", begin_line);
  }

  // Everything up to and with the end of the tag.
  void lex_expression(bool is_block) {
    const int begin_line = line_;
    open_brackets_.clear();
    for (;;) {
      skip_space();
      if (at_ == source_.size()) {
        fail(fmt::format("expected '{}' for this tag, got the end of the template",
                         is_block ? "%}" : "}}"),
             begin_line);
      }
      if (open_brackets_.empty() && (is_block ? lex_block_end() : lex_variable_end())) return;
      lex_token();
    }
  }

  bool lex_block_end() {
    if (!next_is("%}") && !next_is("-%}") && !next_is("+%}")) return false;
    push(TokenKind::kBlockEnd, "%}");
    leave_tag("%}");
    return true;
  }

  bool lex_variable_end() {
    if (!next_is("}}") && !next_is("-}}")) return false;
    push(TokenKind::kVariableEnd, "}}");
    const bool strips = next_is("-");
    advance(strips ? 3 : 2);
    if (strips) skip_space();
    return true;
  }

  void lex_token() {
    const char c = source_[at_];
    if (c == '"' || c == '\'') {
      lex_string();
    } else if (is_digit(c)) {
      lex_number();
    } else if (is_name_start(c)) {
      const std::size_t length = run_length(at_, is_name_part);
      push(TokenKind::kName, std::string(source_.substr(at_, length)));
      advance(length);
    } else {
      lex_operator();
    }
  }

  template <typename Predicate>
  std::size_t run_length(std::size_t begin, const Predicate& predicate) const {
    std::size_t end = begin;
    while (end < source_.size() && predicate(source_[end])) ++end;
    return end - begin;
  }

  void lex_string() {
    const char quote = source_[at_];
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail("expected the closing quote of this string, got none", line_);
    push(TokenKind::kString, unescape(source_.substr(at_ + 1, end - at_ - 1), line_));
    advance(end + 1 - at_);
  }

  void lex_number() {
    const auto is_number_part = [](char c) { return is_digit(c) || c == '_'; };
    std::size_t end = at_ + run_length(at_, is_number_part);
    // `list.0.1` has indices, not a float.
    const bool after_dot = !tokens_.empty() && tokens_.back().text == "." &&
                           tokens_.back().kind == TokenKind::kOperator;
    TokenKind kind = TokenKind::kInteger;
    const auto digit_at = [this](std::size_t i) {
      return i < source_.size() && is_digit(source_[i]);
    };
    if (!after_dot && source_.substr(end, 1) == "." && digit_at(end + 1)) {
      kind = TokenKind::kFloat;
      end += 1 + run_length(end + 1, is_number_part);
    }
    if (!after_dot && (source_.substr(end, 1) == "e" || source_.substr(end, 1) == "E")) {
      const bool has_sign = source_.substr(end + 1, 1) == "-" || source_.substr(end + 1, 1) == "+";
      const std::size_t digits = end + (has_sign ? 2 : 1);
      if (digit_at(digits)) {
        kind = TokenKind::kFloat;
        end = digits + run_length(digits, is_number_part);
      }
    }
    std::string text(source_.substr(at_, end - at_));
    std::erase(text, '_');
    push(kind, std::move(text));
    advance(end - at_);
  }

  void lex_operator() {
    const auto found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                    [this](std::string_view op) { return next_is(op); });
    if (found == std::end(kOperators)) {
      std::size_t end = at_;
      next_code_point(source_, end);
      fail(fmt::format("expected an expression, got '{}'", source_.substr(at_, end - at_)), line_);
    }
    balance((*found)[0]);
    push(TokenKind::kOperator, std::string(*found));
    advance(found->size());
  }

  // Keeps the open brackets, inside of which "}}" and "%}" do not end a tag.
  void balance(char c) {
    if (c == '(') open_brackets_.push_back(')');
    if (c == '[') open_brackets_.push_back(']');
    if (c == '{') open_brackets_.push_back('}');
    if (c != ')' && c != ']' && c != '}') return;
    if (open_brackets_.empty()) fail(fmt::format("expected no '{}' here, got one", c), line_);
    if (open_brackets_.back() != c) {
      fail(fmt::format("expected '{}', got '{}'", open_brackets_.back(), c), line_);
    }
    open_brackets_.pop_back();
  }

  std::string_view source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;    // whether at_ follows a line end (or starts the source)
  std::string open_brackets_;  // the closing ones that are due
  std::vector<Token> tokens_;
};

}  // namespace

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kText:
      return "text";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return "'" + token.text + "'";
  }
}

std::vector<Token> tokenize(std::string_view source) {
  if (valid_utf8_prefix(source) != source.size()) fail("expected UTF-8, got other bytes");
  const std::string text = normalized(source);
  return Lexer(text).run();
}

}  // namespace fathom::jinja
