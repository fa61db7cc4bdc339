// A compiled split pattern: PCRE2 with JIT behind a small face. Compilation and matching are
// bounded: PCRE2's own limits on nesting and code size, and below, on backtracking and memory.
// A pattern from a hostile file can still cost time quadratic in a text, as a search that fails
// late from every beginning does.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"

struct pcre2_real_code_8;

namespace fathom::tokenizer {

class Regex {
 public:
  // `pattern` is Oniguruma's, as in tokenizer.json; regex_syntax.h says which part is supported.
  static Result<Regex> compile(std::string_view pattern);

  // Cuts `text` (well-formed UTF-8) at the beginning and the end of every match, leftmost first,
  // as Hugging Face's Split with behaviour "Isolated" does: appends to `ends` the offset at which
  // each piece ends, plus `base`. Empty pieces are left out; the last end is base + text.size().
  // A match that runs into the limits ends the search: the rest of `text` stays one piece, and the
  // log says so.
  class Matcher;
  void split(Matcher& matcher, std::string_view text, size_t base, std::vector<size_t>& ends) const;

  // The memory a thread needs to match; made once for many calls of split, of any Regex.
  class Matcher {
   public:
    Matcher();
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

   private:
    friend class Regex;
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  explicit Regex(std::shared_ptr<const pcre2_real_code_8> code) : code_(std::move(code)) {}
  std::shared_ptr<const pcre2_real_code_8> code_;
};

}  // namespace fathom::tokenizer
