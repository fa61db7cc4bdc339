// How DeepSeek-V3, R1 and V3.1 split text before byte-pair merging: the three patterns of their
// tokenizer.json, each applied to the pieces the one before it left, in one hand-written pass.
// It gives the same pieces as the regular expressions (deepseek_split_test.cpp compares them), in
// time linear in the text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::tokenizer {

// The patterns as they are written in tokenizer.json; a file with exactly these takes this path.
const std::vector<std::string>& deepseek_split_patterns();

class DeepSeekSplitter {
 public:
  // `text` must be well-formed UTF-8 and outlive the splitter.
  explicit DeepSeekSplitter(std::string_view text) : text_(text) {}

  bool done() const { return at_ == text_.size(); }
  // The offset in bytes at which the next piece ends; it begins where the last one ended.
  // Not to be called when done().
  size_t next_end();

 private:
  std::string_view text_;
  size_t at_ = 0;
  // The end of the run of Chinese or Japanese characters around at_, which the second pattern has
  // cut out; at_ or less outside one.
  size_t ideographs_end_ = 0;
};

}  // namespace fathom::tokenizer
