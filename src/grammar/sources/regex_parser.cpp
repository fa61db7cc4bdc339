#include "grammar/sources/regex_parser.h"

#include <algorithm>
#include <optional>
#include <string>

#include "grammar/rules/limits.h"

namespace fathom::grammar {
namespace {

using Kind = RegexNode::Kind;

CharSet digits() {
  return {{'0', '9'}};
}
CharSet word() {
  return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
}
CharSet white_space() {
  return {{0x9, 0xD},       {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
          {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
}
CharSet no_line_end() {
  return CharSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).complement();
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class RegexParser {
 public:
  explicit RegexParser(std::string_view pattern) : pattern_(pattern) {}

  Result<RegexNode> run() {
    if (pattern_.size() > kMaxSourceBytes) return bad("a shorter pattern", "a longer one");
    FATHOM_ASSIGN(RegexNode node, alternatives());
    if (!at_end()) return bad("an end of the pattern", ")");
    return node;
  }

 private:
  bool at_end() const { return at_ >= pattern_.size(); }
  char peek() const { return at_end() ? '\0' : pattern_[at_]; }
  bool take(std::string_view text) {
    if (!pattern_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  Error bad(const std::string& expected, const std::string& got,
            ErrorCode code = ErrorCode::kInvalidArgument) const {
    return {code, "expected " + expected + ", got " + got + " at offset " + std::to_string(at_)};
  }
  Error unsupported(const std::string& expected, const std::string& got) const {
    return bad(expected, got, ErrorCode::kUnsupported);
  }

  Result<RegexNode> alternatives() {
    if (++depth_ > kMaxSourceDepth) return bad("groups nested at most 64 deep", "more");
    RegexNode choice{Kind::kChoice};
    do {
      RegexNode sequence{Kind::kSequence};
      while (!at_end() && peek() != '|' && peek() != ')') {
        FATHOM_ASSIGN(RegexNode item, term());
        sequence.children.push_back(std::move(item));
      }
      choice.children.push_back(std::move(sequence));
    } while (take("|"));
    --depth_;
    return choice.children.size() == 1 ? std::move(choice.children[0]) : std::move(choice);
  }

  Result<RegexNode> term() {
    if (take("^")) return RegexNode{Kind::kStart};
    if (take("$")) return RegexNode{Kind::kEnd};
    FATHOM_ASSIGN(RegexNode item, atom());
    return quantified(std::move(item));
  }

  Result<RegexNode> atom() {
    if (take("(")) return group();
    if (take("[")) return char_class();
    if (take(".")) return RegexNode{Kind::kSet, no_line_end()};
    if (take("\\")) {
      FATHOM_ASSIGN(CharSet set, escape(false));
      return RegexNode{Kind::kSet, std::move(set)};
    }
    if (peek() == '*' || peek() == '+' || peek() == '?') {
      return bad("something to repeat", std::string(1, peek()));
    }
    FATHOM_ASSIGN(const char32_t code, character());
    return RegexNode{Kind::kSet, {{code, code}}};
  }

  Result<char32_t> character() {
    const DecodedChar decoded = decode_utf8(pattern_.substr(at_));
    if (decoded.length == 0) return bad("well-formed UTF-8", "other bytes");
    at_ += decoded.length;
    return decoded.code;
  }

  Result<RegexNode> group() {
    if (take("?")) {
      const bool look_behind =
          pattern_.substr(at_).starts_with("<=") || pattern_.substr(at_).starts_with("<!");
      if (take("<") && !look_behind) {
        while (!at_end() && peek() != '>') ++at_;
        if (!take(">")) return bad("> behind a group's name", "the end");
      } else if (look_behind || !take(":")) {
        return unsupported("(, (?: or (?<name>", "a look-around or flags");
      }
    }
    FATHOM_ASSIGN(RegexNode node, alternatives());
    if (!take(")")) return bad(")", "the end");
    return node;
  }

  Result<RegexNode> quantified(RegexNode item) {
    uint32_t least = 0;
    uint32_t most = kUnlimited;
    if (take("*")) {
    } else if (take("+")) {
      least = 1;
    } else if (take("?")) {
      most = 1;
    } else if (peek() == '{') {
      FATHOM_TRY(counts(least, most));
    } else {
      return item;
    }
    take("?");  // a lazy one matches the same texts
    if (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{') {
      return bad("one repetition", "another behind it");
    }
    RegexNode repeat{Kind::kRepeat};
    repeat.least = least;
    repeat.most = most;
    repeat.children.push_back(std::move(item));
    return repeat;
  }

  // {n} {n,} {n,m}
  Status counts(uint32_t& least, uint32_t& most) {
    take("{");
    const auto first = number();
    if (!first.has_value()) return bad("{n}, {n,} or {n,m} with numbers", "another {");
    least = *first;
    most = *first;
    if (take(",")) {
      most = kUnlimited;
      if (peek() != '}') {
        const auto second = number();
        if (!second.has_value()) return bad("{n,m} with numbers", "another {");
        if (*second < kNoBound) most = *second;
      }
    }
    if (least >= kNoBound) return bad("n below 1000000 in {n} and {n,m}", "a greater one");
    if (!take("}")) return bad("}", "something else");
    if (least > most) return bad("{n,m} with n at most m", "a greater n");
    return {};
  }

  // Numbers beyond kNoBound are that.
  std::optional<uint32_t> number() {
    uint32_t value = 0;
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') {
      value = std::min(value * 10 + static_cast<uint32_t>(pattern_[at_++] - '0'), kNoBound);
    }
    return at_ == begin ? std::nullopt : std::optional(value);
  }

  Result<RegexNode> char_class() {
    const bool negated = take("^");
    std::vector<CharRange> ranges;
    while (peek() != ']' || at_end()) {
      if (at_end()) return bad("]", "the end");
      FATHOM_ASSIGN(const CharSet first, class_item());
      const bool is_range = peek() == '-' && at_ + 1 < pattern_.size() && pattern_[at_ + 1] != ']';
      if (!is_range) {
        ranges.insert(ranges.end(), first.ranges().begin(), first.ranges().end());
        continue;
      }
      take("-");
      FATHOM_ASSIGN(const CharSet last, class_item());
      const bool single = is_single(first) && is_single(last);
      if (!single || first.ranges()[0].first > last.ranges()[0].first) {
        return bad("a range from a lesser to a greater character", "another");
      }
      ranges.push_back({first.ranges()[0].first, last.ranges()[0].first});
    }
    take("]");
    const CharSet set(std::move(ranges));
    return RegexNode{Kind::kSet, negated ? set.complement() : set};
  }

  static bool is_single(const CharSet& set) {
    return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].last;
  }

  Result<CharSet> class_item() {
    if (take("\\")) return escape(true);
    FATHOM_ASSIGN(const char32_t code, character());
    return CharSet{{code, code}};
  }

  Result<CharSet> escape(bool in_class) {
    if (at_end()) return bad("a character behind \\", "the end");
    const char kind = pattern_[at_];
    const auto one = [](char32_t code) { return CharSet{{code, code}}; };
    switch (kind) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
      case 's':
      case 'S': {
        ++at_;
        const char lower = static_cast<char>(kind | 0x20);
        const CharSet set = lower == 'd' ? digits() : lower == 'w' ? word() : white_space();
        return kind == lower ? set : set.complement();
      }
      case 'n':
        return ++at_, one('\n');
      case 'r':
        return ++at_, one('\r');
      case 't':
        return ++at_, one('\t');
      case 'f':
        return ++at_, one('\f');
      case 'v':
        return ++at_, one('\v');
      case '0':
        return ++at_, one(0);
      case 'b':
        if (in_class) return ++at_, one('\b');
        break;
      case 'c':
        return control();
      case 'x':
      case 'u':
        return code_point();
      default:
        break;
    }
    const bool letter = (kind >= 'a' && kind <= 'z') || (kind >= 'A' && kind <= 'Z');
    if (letter || (kind >= '0' && kind <= '9')) {
      return unsupported(
          "an escape of \\d \\w \\s \\n \\r \\t \\f \\v \\0 \\c \\x \\u or punctuation",
          "\\" + std::string(1, kind));
    }
    FATHOM_ASSIGN(const char32_t code, character());
    return one(code);
  }

  Result<CharSet> control() {
    ++at_;
    const char letter = static_cast<char>(peek() | 0x20);
    if (letter < 'a' || letter > 'z') return bad("\\c and a letter", "another character");
    ++at_;
    const auto code = static_cast<char32_t>(letter - 'a' + 1);
    return CharSet{{code, code}};
  }

  // \xHH, \uHHHH (two of them for a surrogate pair) or \u{H…}
  Result<CharSet> code_point() {
    const bool is_x = pattern_[at_++] == 'x';
    char32_t code = 0;
    if (!is_x && take("{")) {
      size_t count = 0;
      for (; hex_value(peek()) >= 0 && count < 6; ++count) {
        code = code * 16 + static_cast<char32_t>(hex_value(pattern_[at_++]));
      }
      if (count == 0 || !take("}")) return bad("\\u{H} with 1 to 6 hexadecimal digits", "another");
    } else {
      FATHOM_ASSIGN(code, hex(is_x ? 2 : 4));
      if (code >= 0xD800 && code <= 0xDBFF && take("\\u")) {
        FATHOM_ASSIGN(const char32_t low, hex(4));
        if (low < 0xDC00 || low > 0xDFFF) return bad("the second of a surrogate pair", "another");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code > 0x10FFFF || surrogate) return bad("the code of a character", "another number");
    return CharSet{{code, code}};
  }

  Result<char32_t> hex(int count) {
    char32_t code = 0;
    for (int i = 0; i < count; ++i) {
      const int value = hex_value(peek());
      if (value < 0) return bad(std::to_string(count) + " hexadecimal digits", "fewer");
      code = code * 16 + static_cast<char32_t>(value);
      ++at_;
    }
    return code;
  }

  static constexpr uint32_t kUnlimited = 0xFFFFFFFF;

  std::string_view pattern_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<RegexNode> parse_regex(std::string_view pattern) {
  return RegexParser(pattern).run();
}

}  // namespace fathom::grammar
