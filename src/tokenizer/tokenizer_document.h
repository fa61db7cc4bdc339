// Reads tokenizer.json in one pass: its two long lists straight into ours, the rest into a tree.
// Memory is bounded by the text's size whatever it says, and a hostile text cannot overflow a
// stack.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tokenizer/token_id.h"

namespace fathom::tokenizer {

// Ids are below this: the largest published vocabularies have about 260,000 tokens, and tables by
// id stay small whatever a file says.
inline constexpr TokenId kMaxTokenId = 1 << 20;

struct TokenizerDocument {
  nlohmann::json tree;  // without model.vocab and model.merges, unless these are of a wrong type
  bool has_vocabulary = false;
  bool has_merges = false;
  std::vector<std::pair<std::string, TokenId>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // left, right
};

// Errors: broken JSON; over 32 levels or a million values in the tree; an entry of model.vocab or
// model.merges that is none. `file` begins the message.
Result<TokenizerDocument> read_tokenizer_document(const std::string& file, std::string_view text);

}  // namespace fathom::tokenizer
