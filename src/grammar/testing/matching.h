// Helpers of this folder's tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/compiled_grammar.h"

namespace fathom::grammar {

// A token a byte (token id = byte), then `more`, then an end token, which is the last.
inline std::shared_ptr<const Vocabulary> byte_vocabulary(
    const std::vector<std::string>& more = {}) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.insert(tokens.end(), more.begin(), more.end());
  tokens.emplace_back();
  const std::vector<std::string_view> views(tokens.begin(), tokens.end());
  return Vocabulary::build(views, {static_cast<TokenId>(tokens.size() - 1)});
}

inline std::shared_ptr<const CompiledGrammar> compiled(
    const Grammar& grammar, std::shared_ptr<const Vocabulary> vocabulary = byte_vocabulary()) {
  auto result = CompiledGrammar::build(grammar, std::move(vocabulary));
  EXPECT_TRUE(result.ok()) << result.error().message << " at " << result.error().where;
  return result.ok() ? *result : nullptr;
}

enum class Fit { kNo, kPrefix, kWhole };

// Whether `text` goes on or ends in the grammar's language. The vocabulary has a token a byte.
inline Fit fit(const std::shared_ptr<const CompiledGrammar>& grammar, std::string_view text) {
  Matcher matcher(grammar);
  for (const char byte : text) {
    if (!matcher.accept(static_cast<uint8_t>(byte))) return Fit::kNo;
  }
  return matcher.can_end() ? Fit::kWhole : Fit::kPrefix;
}
inline bool matches(const std::shared_ptr<const CompiledGrammar>& grammar, std::string_view text) {
  return fit(grammar, text) == Fit::kWhole;
}

// The grammar whose only rule is `expr`.
inline void set_root(Grammar& grammar, Expr expr) {
  const RuleId root = grammar.add_rule("root");
  grammar.define(root, expr);
  grammar.set_root(root);
}

}  // namespace fathom::grammar
