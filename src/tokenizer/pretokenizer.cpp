#include "tokenizer/pretokenizer.h"

#include <algorithm>
#include <utility>

#include "tokenizer/deepseek_split.h"

namespace fathom::tokenizer {

Result<PreTokenizer> PreTokenizer::create(const std::vector<SplitPattern>& patterns) {
  PreTokenizer made;
  made.is_deepseek_ =
      std::equal(patterns.begin(), patterns.end(), deepseek_split_patterns().begin(),
                 deepseek_split_patterns().end(),
                 [](const SplitPattern& a, const std::string& b) { return a.regex == b; });
  if (made.is_deepseek_) return made;
  for (const SplitPattern& pattern : patterns) {
    Result<Regex> compiled = Regex::compile(pattern.regex);
    if (!compiled) {
      Error error = compiled.error().with_context(pattern.field);
      error.where = pattern.field;
      return error;
    }
    made.patterns_.push_back(std::move(compiled).value());
  }
  return made;
}

void PreTokenizer::split(std::string_view text, std::vector<size_t>& ends) const {
  if (text.empty()) return;
  if (is_deepseek_) {
    for (DeepSeekSplitter splitter(text); !splitter.done();) ends.push_back(splitter.next_end());
    return;
  }
  std::vector<size_t> pieces = {text.size()};
  Regex::Matcher matcher;
  for (const Regex& pattern : patterns_) {
    std::vector<size_t> cut;
    size_t begin = 0;
    for (const size_t end : pieces) {
      pattern.split(matcher, text.substr(begin, end - begin), begin, cut);
      begin = end;
    }
    pieces = std::move(cut);
  }
  ends.insert(ends.end(), pieces.begin(), pieces.end());
}

}  // namespace fathom::tokenizer
