#include "tokenizer/deepseek_split.h"

#include <array>

#include "base/utf8.h"
#include "tokenizer/unicode_classes.h"

namespace fathom::tokenizer {
namespace {

// Classes of characters for the third pattern. Numbers, and ideographs outside their runs, count as
// the end of the text, because the first two patterns have cut there.
enum class Kind : uint8_t {
  kOther,
  kWord,   // \p{L} or \p{M}
  kPunct,  // \p{P} or \p{S}
  kSpace,  // \s but for the next
  kNewline,
  kNumber,
  kIdeograph,  // [一-龥぀-ゟ゠-ヿ], whatever else it is
  kEnd,        // past the last character
};

Kind kind_of(char32_t code) {
  switch (char_class(code)) {
    case CharClass::kLetter:
    case CharClass::kMark:
      return Kind::kWord;
    case CharClass::kNumber:
      return Kind::kNumber;
    case CharClass::kPunctuation:
    case CharClass::kSymbol:
      return Kind::kPunct;
    case CharClass::kSpace:
      return code == '\n' || code == '\r' ? Kind::kNewline : Kind::kSpace;
    case CharClass::kOther:
      return Kind::kOther;
  }
  return Kind::kOther;
}

bool is_ideograph(char32_t code) {
  return (code >= 0x4E00 && code <= 0x9FA5) || (code >= 0x3040 && code <= 0x30FF);
}

std::array<Kind, 128> make_ascii_kinds() {
  std::array<Kind, 128> kinds{};
  for (char32_t code = 0; code < kinds.size(); ++code) kinds[code] = kind_of(code);
  return kinds;
}

bool is_ascii_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

struct Character {
  Kind kind;
  uint32_t length;  // in bytes; 0 past the end
};

// The third pattern (and, as it is simple, the first) on a text, or on a run of ideographs, in
// which they are letters and punctuation like any others.
class Matcher {
 public:
  Matcher(std::string_view text, bool in_ideographs) : text_(text), in_ideographs_(in_ideographs) {}

  Character character_at(size_t at) const;
  size_t end_of_run(size_t at, Kind kind) const;
  // Where a match that begins at `at` ends, or `at` itself if none begins there.
  size_t end_of_match(size_t at) const;

 private:
  size_t end_of_number(size_t at) const;
  size_t end_of_punctuation(size_t at) const;
  size_t end_of_white_space(size_t at) const;

  std::string_view text_;
  bool in_ideographs_;
};

Character Matcher::character_at(size_t at) const {
  static const std::array<Kind, 128> ascii_kinds = make_ascii_kinds();
  if (at == text_.size()) return {Kind::kEnd, 0};
  const auto lead = static_cast<unsigned char>(text_[at]);
  if (lead < 0x80) return {ascii_kinds[lead], 1};
  const DecodedCharacter decoded = decode_valid_utf8(text_.data() + at);
  if (!in_ideographs_ && is_ideograph(decoded.code)) return {Kind::kIdeograph, decoded.length};
  return {kind_of(decoded.code), decoded.length};
}

size_t Matcher::end_of_run(size_t at, Kind kind) const {
  for (Character c = character_at(at); c.kind == kind; c = character_at(at)) at += c.length;
  return at;
}

// \p{N}{1,3}
size_t Matcher::end_of_number(size_t at) const {
  for (int digits = 0; digits < 3; ++digits) {
    const Character c = character_at(at);
    if (c.kind != Kind::kNumber) break;
    at += c.length;
  }
  return at;
}

// [!-/:-@\[-`{-~][A-Za-z]+ or [\p{P}\p{S}]+[\r\n]*, from a character of kind kPunct.
size_t Matcher::end_of_punctuation(size_t at) const {
  const bool is_ascii = static_cast<unsigned char>(text_[at]) < 0x80;
  if (is_ascii && at + 1 < text_.size() && is_ascii_letter(text_[at + 1])) {
    for (++at; at < text_.size() && is_ascii_letter(text_[at]);) ++at;
    return at;
  }
  return end_of_run(end_of_run(at, Kind::kPunct), Kind::kNewline);
}

// \s*[\r\n]+, else \s+(?!\S), else \s+, from white space.
size_t Matcher::end_of_white_space(size_t at) const {
  size_t after_newline = 0;
  size_t before_last = at;
  size_t end = at;
  Character c = character_at(at);
  for (; c.kind == Kind::kSpace || c.kind == Kind::kNewline; c = character_at(end)) {
    before_last = end;
    end += c.length;
    if (c.kind == Kind::kNewline) after_newline = end;
  }
  if (after_newline) return after_newline;
  const bool text_ends_here =
      c.kind == Kind::kEnd || c.kind == Kind::kNumber || c.kind == Kind::kIdeograph;
  return text_ends_here || before_last == at ? end : before_last;
}

size_t Matcher::end_of_match(size_t at) const {
  const Character c = character_at(at);
  switch (c.kind) {
    case Kind::kNumber:
      return end_of_number(at);
    case Kind::kWord:
      return end_of_run(at, Kind::kWord);
    case Kind::kPunct:
      return end_of_punctuation(at);
    case Kind::kNewline:
      return end_of_white_space(at);
    case Kind::kSpace:
    case Kind::kOther:
      break;
    case Kind::kIdeograph:
    case Kind::kEnd:
      return at;
  }
  // [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
  const size_t after = at + c.length;
  const Kind next = character_at(after).kind;
  if (next == Kind::kWord) return end_of_run(after, Kind::kWord);
  // ` ?[\p{P}\p{S}]+[\r\n]*`
  if (next == Kind::kPunct && text_[at] == ' ') {
    return end_of_run(end_of_run(after, Kind::kPunct), Kind::kNewline);
  }
  return c.kind == Kind::kSpace ? end_of_white_space(at) : at;
}

}  // namespace

const std::vector<std::string>& deepseek_split_patterns() {
  static const std::vector<std::string> patterns = {
      R"(\p{N}{1,3})",
      "[一-龥\u3040-ゟ゠-ヿ]+",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
      "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
      "| ?[\\p{P}\\p{S}]+[\r\n]*"
      "|\\s*[\r\n]+"
      R"(|\s+(?!\S)|\s+)",
  };
  return patterns;
}

size_t DeepSeekSplitter::next_end() {
  if (at_ >= ideographs_end_) {
    ideographs_end_ = Matcher(text_, false).end_of_run(at_, Kind::kIdeograph);
  }
  const bool in_ideographs = at_ < ideographs_end_;
  const Matcher matcher(in_ideographs ? text_.substr(0, ideographs_end_) : text_, in_ideographs);
  const size_t begin = at_;
  // Characters that no pattern matches stay together as a piece, up to the next match.
  while (true) {
    const size_t end = matcher.end_of_match(at_);
    if (end != at_) {
      if (at_ == begin) at_ = end;
      return at_;
    }
    const Character unmatched = matcher.character_at(at_);
    if (unmatched.kind == Kind::kIdeograph || unmatched.kind == Kind::kEnd) return at_;
    at_ += unmatched.length;
  }
}

}  // namespace fathom::tokenizer
