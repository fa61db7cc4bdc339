#include "grammar/sources/ebnf.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "grammar/rules/limits.h"

namespace fathom::grammar {
namespace {

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class EbnfParser {
 public:
  EbnfParser(Grammar& grammar, std::string_view text) : grammar_(grammar), text_(text) {}

  Result<Expr> run() {
    if (text_.size() > kMaxSourceBytes) {
      return Error{ErrorCode::kResourceExhausted, "expected a grammar of at most 1 MiB, got more"};
    }
    for (skip_blank(true); !at_end(); skip_blank(true)) FATHOM_TRY(rule());
    for (const auto& [name, place] : rules_) {
      if (place.defined) continue;
      return invalid_argument("expected a rule named " + name + ", got none", name);
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) {
      return invalid_argument("expected a rule named root, got none", "root");
    }
    return grammar_.call(root->second.id);
  }

 private:
  struct Place {
    RuleId id;
    bool defined = false;
  };

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  Error bad(const std::string& expected, const std::string& got) const {
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(at_), '\n');
    return invalid_argument("line " + std::to_string(line) + ": expected " + expected + ", got " +
                            got);
  }
  std::string next_shown() const {
    return at_end() ? "the end" : "'" + std::string(1, peek()) + "'";
  }

  // Spaces and comments, and line ends where a rule goes on behind them.
  void skip_blank(bool lines) {
    while (!at_end()) {
      if (peek() == '#') {
        while (!at_end() && peek() != '\n') ++at_;
      } else if (peek() == ' ' || peek() == '\t' || (lines && (peek() == '\n' || peek() == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string name() {
    const size_t begin = at_;
    while (is_name(peek())) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  Place& place(const std::string& rule_name) {
    const auto [found, is_new] = rules_.try_emplace(rule_name);
    if (is_new) found->second.id = grammar_.add_rule(rule_name);
    return found->second;
  }

  Status rule() {
    const std::string rule_name = name();
    if (rule_name.empty()) return bad("the name of a rule", next_shown());
    skip_blank(false);
    if (!take("::=")) return bad("::= behind " + rule_name, next_shown());
    if (place(rule_name).defined) return bad("one rule named " + rule_name, "another");
    place(rule_name).defined = true;
    skip_blank(true);
    FATHOM_ASSIGN(const Expr body, alternatives(0));
    if (grammar_.budget().exhausted()) {
      Error error = grammar_.budget().error();
      error.where = rule_name;
      return error;
    }
    grammar_.define(place(rule_name).id, body);
    if (!at_end() && peek() != '\n' && peek() != '\r')
      return bad("an end of the line", next_shown());
    if (grammar_.too_large()) {
      return Error{ErrorCode::kResourceExhausted, "expected a smaller grammar", rule_name};
    }
    return {};
  }

  Result<Expr> alternatives(int depth) {
    if (depth > kMaxSourceDepth) return bad("groups nested at most 64 deep", "more");
    std::vector<Expr> options;
    while (true) {
      FATHOM_ASSIGN(const Expr option, sequence(depth));
      options.push_back(option);
      // A line that begins with | goes on with the rule.
      const size_t before = at_;
      skip_blank(true);
      if (!take("|")) {
        if (depth == 0) at_ = before;
        break;
      }
      skip_blank(true);
    }
    return grammar_.choice(options);
  }

  Result<Expr> sequence(int depth) {
    std::vector<Expr> parts;
    while (grammar_.budget().spend(1)) {
      skip_blank(depth > 0);
      if (at_end() || peek() == '|' || peek() == ')' || peek() == '\n' || peek() == '\r') break;
      FATHOM_ASSIGN(const Expr part, item(depth));
      FATHOM_ASSIGN(const Expr repeated, repeats(part));
      parts.push_back(repeated);
    }
    return grammar_.sequence(parts);
  }

  Result<Expr> item(int depth) {
    if (take("\"")) return literal();
    if (take("[")) return char_class();
    if (take(".")) return grammar_.chars(CharSet::all());
    if (take("(")) {
      skip_blank(true);
      FATHOM_ASSIGN(const Expr group, alternatives(depth + 1));
      skip_blank(true);
      if (!take(")")) return bad(")", next_shown());
      return group;
    }
    const std::string called = name();
    if (called.empty()) return bad("a literal, a set, a group or a rule's name", next_shown());
    return grammar_.call(place(called).id);
  }

  Result<Expr> repeats(Expr part) {
    uint32_t least = 0;
    uint32_t most = kUnbounded;
    if (take("*")) return grammar_.repeat(part, 0);
    if (take("+")) return grammar_.repeat(part, 1);
    if (take("?")) return grammar_.optional(part);
    if (!take("{")) return part;
    const auto first = number();
    if (first.has_value()) least = *first;
    if (take(",")) {
      if (peek() != '}') {
        const auto second = number();
        if (!second.has_value()) return bad("a number", next_shown());
        if (*second < kNoBound) most = *second;
      }
    } else {
      most = least;
      if (!first.has_value()) return bad("a number", next_shown());
    }
    if (least >= kNoBound) return bad("n below 1000000 in {n} and {n,m}", "a greater one");
    if (!take("}")) return bad("{n}, {n,} or {n,m}", next_shown());
    if (least > most) return bad("{n,m} with n at most m", "a greater n");
    return grammar_.repeat(part, least, most);
  }

  // Numbers beyond kNoBound are that.
  std::optional<uint32_t> number() {
    uint32_t value = 0;
    const size_t begin = at_;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = std::min(value * 10 + static_cast<uint32_t>(peek() - '0'), kNoBound);
    }
    return at_ == begin ? std::nullopt : std::optional(value);
  }

  Result<Expr> literal() {
    std::string bytes;
    while (!take("\"")) {
      if (at_end() || peek() == '\n') return bad("\" at the end of a literal", next_shown());
      FATHOM_ASSIGN(const char32_t code, character());
      append_utf8(code, bytes);
    }
    return grammar_.literal(bytes);
  }

  Result<Expr> char_class() {
    const bool negated = take("^");
    std::vector<CharRange> ranges;
    while (!take("]")) {
      if (at_end() || peek() == '\n') return bad("] at the end of a set", next_shown());
      FATHOM_ASSIGN(const char32_t first, character());
      char32_t last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        take("-");
        FATHOM_ASSIGN(last, character());
      }
      if (first > last) return bad("a range from a lesser to a greater character", "another");
      ranges.push_back({first, last});
    }
    const CharSet set(std::move(ranges));
    return grammar_.chars(negated ? set.complement() : set);
  }

  Result<char32_t> character() {
    if (!take("\\")) {
      const DecodedChar decoded = decode_utf8(text_.substr(at_));
      if (decoded.length == 0) return bad("well-formed UTF-8", "other bytes");
      at_ += decoded.length;
      return decoded.code;
    }
    const char kind = peek();
    if (at_end()) return bad("a character behind \\", "the end");
    ++at_;
    switch (kind) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      case 'U':
        return hex(8);
      default:
        break;
    }
    if (is_name(kind) && kind != '-') return bad("an escape we know", std::string("\\") + kind);
    return static_cast<char32_t>(static_cast<unsigned char>(kind));
  }

  Result<char32_t> hex(int digits) {
    char32_t code = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = static_cast<char>(peek() | 0x20);
      const bool is_digit = peek() >= '0' && peek() <= '9';
      if (!is_digit && (c < 'a' || c > 'f')) return bad("hexadecimal digits", next_shown());
      code = code * 16 + static_cast<char32_t>(is_digit ? peek() - '0' : c - 'a' + 10);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      return bad("the code of a character", "another number");
    }
    return code;
  }

  Grammar& grammar_;
  std::string_view text_;
  size_t at_ = 0;
  std::unordered_map<std::string, Place> rules_;
};

}  // namespace

Result<Expr> add_ebnf(Grammar& grammar, std::string_view text) {
  return EbnfParser(grammar, text).run();
}

}  // namespace fathom::grammar
