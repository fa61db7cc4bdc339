// Cuts text into the pieces that byte-pair merging works on: each pattern of tokenizer.json's
// pre_tokenizer in turn cuts the pieces that the one before it left.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/regex.h"

namespace fathom::tokenizer {

struct SplitPattern {
  std::string regex;  // Oniguruma's syntax
  std::string field;  // where in tokenizer.json it is, for messages
};

class PreTokenizer {
 public:
  // Error: a pattern that is not supported; its field is in the message and in `where`.
  static Result<PreTokenizer> create(const std::vector<SplitPattern>& patterns);

  // Appends the offset in bytes at which each piece of `text` (well-formed UTF-8) ends; pieces are
  // never empty, and the last ends at text.size().
  void split(std::string_view text, std::vector<size_t>& ends) const;

 private:
  bool is_deepseek_ = false;  // then the hand-written splitter stands for the patterns
  std::vector<Regex> patterns_;
};

}  // namespace fathom::tokenizer
