// Builds a tokenizer's tables from its files and checks that the files agree.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/tokenizer_file.h"

namespace fathom::tokenizer {

struct TokenizerTables {
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  AddedTokenFinder added_first;   // tokens with "normalized": false
  AddedTokenFinder added_second;  // the others, looked for in what the first left
  std::unordered_map<std::string, TokenId> added_ids;
  std::vector<bool> is_added;    // by id
  std::vector<bool> is_special;  // by id
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
};

// Errors: kDataCorrupt where the files contradict themselves, kUnsupported for a pattern, and for
// an added token that plain text could become.
Result<TokenizerTables> build_tokenizer_tables(const TokenizerFile& file,
                                               const TokenizerConfig& config);

}  // namespace fathom::tokenizer
