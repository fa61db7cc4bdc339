#include "tokenizer/regex_syntax.h"

#include <algorithm>
#include <array>
#include <optional>

namespace fathom::tokenizer {
namespace {

// Unicode's White_Space. PCRE2's own \s has U+180E too, which lost the property in Unicode 6.3.
constexpr std::string_view kWhiteSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

constexpr std::array<std::string_view, 37> kGeneralCategories = {
    "C",  "Cc", "Cf", "Cn", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",
    "Mc", "Me", "Mn", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Pe", "Pf", "Pi",
    "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs"};

constexpr std::array<std::string_view, 7> kGroupOpenings = {"(?:",  "(?i:", "(?=", "(?!",
                                                            "(?<=", "(?<!", "(?>"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> run() {
    while (at_ < pattern_.size()) FATHOM_TRY(in_class_ ? class_item() : outside_item());
    if (in_class_) return unsupported("a class that ends", "[ without ]");
    return std::move(out_);
  }

 private:
  static Error unsupported(const std::string& expected, const std::string& got) {
    return {ErrorCode::kUnsupported, "expected " + expected + ", got " + got};
  }

  bool next_is(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  void copy(size_t length) {
    out_ += pattern_.substr(at_, length);
    at_ += length;
  }

  Status outside_item() {
    switch (pattern_[at_]) {
      case '\\':
        return escape();
      case '[':
        return open_class();
      case '(':
        return open_group();
      case '{':
        return counted_repeat();
      default:
        copy(1);
        return {};
    }
  }

  Status open_class() {
    in_class_ = true;
    copy(next_is("[^") ? 2 : 1);
    if (next_is("]")) {  // first in a class it is a plain character
      out_ += "\\]";
      ++at_;
    }
    return {};
  }

  Status class_item() {
    if (pattern_[at_] == '[') return unsupported("no class or [:name:] in a class", "[ in a class");
    if (next_is("&&")) return unsupported("no intersection in a class", "&&");
    if (pattern_[at_] == '\\') return escape();
    if (pattern_[at_] == ']') in_class_ = false;
    copy(1);
    return {};
  }

  Status open_group() {
    if (next_is("(*")) return unsupported("a group", "(*");
    if (!next_is("(?")) {
      copy(1);
      return {};
    }
    for (const std::string_view opening : kGroupOpenings) {
      if (!next_is(opening)) continue;
      copy(opening.size());
      return {};
    }
    return unsupported("(?: (?i: (?= (?! (?<= (?<! or (?>",
                       std::string(pattern_.substr(at_, 4)) + " in a pattern");
  }

  size_t skip_digits(size_t from) const {
    while (from < pattern_.size() && is_digit(pattern_[from])) ++from;
    return from;
  }

  // {n} {n,} {n,m}. What follows the brace is where the libraries differ.
  Status counted_repeat() {
    const Error bad = unsupported("{n}, {n,} or {n,m}, not followed by + (or {n} by ?)",
                                  "another { in a pattern");
    size_t end = skip_digits(at_ + 1);
    if (end == at_ + 1 || end == pattern_.size()) return bad;
    const bool is_range = pattern_[end] == ',';
    if (is_range) end = skip_digits(end + 1);
    if (end == pattern_.size() || pattern_[end] != '}') return bad;
    ++end;
    const char suffix = end < pattern_.size() ? pattern_[end] : '\0';
    if (suffix == '+' || (suffix == '?' && !is_range)) return bad;
    copy(end - at_);
    return {};
  }

  Status escape() {
    if (at_ + 1 == pattern_.size()) return unsupported("a character after \\", "the end");
    const char kind = pattern_[at_ + 1];
    switch (kind) {
      case 's':
        return replace(in_class_ ? std::string(kWhiteSpace) : bracketed("[", kWhiteSpace));
      case 'S':
        if (in_class_) return unsupported("\\s in a class", "\\S in a class");
        return replace(bracketed("[^", kWhiteSpace));
      case 'd':
        return replace("\\p{Nd}");
      case 'D':
        return replace("\\P{Nd}");
      case 'r':
      case 'n':
      case 't':
        copy(2);
        return {};
      case 'p':
      case 'P':
        return property();
      case 'x':
      case 'u':
        return code_point();
      default:
        break;
    }
    if (is_letter(kind) || is_digit(kind)) {
      return unsupported("an escape of \\s \\S \\d \\D \\r \\n \\t \\p \\P \\x \\u or punctuation",
                         "\\" + std::string(1, kind));
    }
    copy(2);
    return {};
  }

  static std::string bracketed(std::string_view open, std::string_view members) {
    return std::string(open) + std::string(members) + "]";
  }
  Status replace(std::string_view translation) {
    out_ += translation;
    at_ += 2;
    return {};
  }

  // \p{Category} or \p{Script}; a bare script name would mean Script_Extensions to PCRE2.
  Status property() {
    const size_t close = pattern_.find('}', at_);
    const std::string_view name = close == std::string_view::npos || pattern_[at_ + 2] != '{'
                                      ? std::string_view()
                                      : pattern_.substr(at_ + 3, close - at_ - 3);
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_letter)) {
      return unsupported("a general category or script as \\p{L} or \\p{Han}",
                         std::string(pattern_.substr(at_, 12)));
    }
    const bool is_category = std::count(kGeneralCategories.begin(), kGeneralCategories.end(), name);
    out_ += pattern_.substr(at_, 3);
    if (!is_category) out_ += "sc:";
    out_ += name;
    out_ += '}';
    at_ = close + 1;
    return {};
  }

  // \xHH, \x{H…} or \uHHHH
  Status code_point() {
    const bool braced = next_is("\\x{");
    const size_t begin = at_ + (braced ? 3 : 2);
    size_t end = begin;
    const size_t most = braced ? 6 : (pattern_[at_ + 1] == 'u' ? 4 : 2);
    while (end < pattern_.size() && end - begin < most && is_hex_digit(pattern_[end])) ++end;
    const bool closed = !braced || (end < pattern_.size() && pattern_[end] == '}');
    if (end == begin || !closed || (!braced && end - begin != most)) {
      return unsupported("\\xHH, \\x{H} or \\uHHHH", std::string(pattern_.substr(at_, 10)));
    }
    out_ += "\\x{" + std::string(pattern_.substr(begin, end - begin)) + "}";
    at_ = end + (braced ? 1 : 0);
    return {};
  }

  std::string_view pattern_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

Result<std::string> pcre2_from_oniguruma(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace fathom::tokenizer
