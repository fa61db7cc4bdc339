#include "grammar/testing/fuzz.h"

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "grammar/compiler.h"

namespace fathom::grammar {
namespace {

std::shared_ptr<const Vocabulary> small_vocabulary() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  for (const char* more : {"\",", "\": ", "{\"", "}]", "true", "null", "  ", "\n    ", "word", "é",
                           "12", "\\n", "\\u00", "😀 plain text", "aaaaaaaaaaaaaaaa"}) {
    tokens.emplace_back(more);
  }
  tokens.emplace_back();
  const std::vector<std::string_view> views(tokens.begin(), tokens.end());
  return Vocabulary::build(views, {static_cast<TokenId>(tokens.size() - 1)});
}

void walk(const std::shared_ptr<const CompiledGrammar>& grammar, bool json, uint64_t seed) {
  constexpr int kSteps = 60;
  const Vocabulary& vocabulary = grammar->vocabulary();
  std::mt19937_64 random(seed);
  std::vector<uint32_t> mask(vocabulary.mask_words());
  Matcher matcher(grammar);
  std::string text;
  for (int step = 0; step < kSteps; ++step) {
    matcher.fill_mask(mask);
    std::vector<TokenId> allowed;
    for (TokenId id = 0; static_cast<size_t>(id) < vocabulary.size(); ++id) {
      const bool bit = (mask[id / 32] >> id % 32 & 1) != 0;
      const bool taken = matcher.accept(id);
      if (taken) matcher.rollback(1);
      FATHOM_CHECK(bit == taken, "a mask has what is accepted");
      if (bit && !vocabulary.is_end(id)) allowed.push_back(id);
    }
    FATHOM_CHECK(!allowed.empty() || matcher.can_end(), "a text can go on or end");
    if (json && matcher.can_end()) {
      FATHOM_CHECK(nlohmann::json::accept(text), "a complete text is JSON");
    }
    if (allowed.empty()) return;
    const TokenId token = allowed[random() % allowed.size()];
    FATHOM_CHECK(matcher.accept(token), "an allowed token is accepted");
    text += vocabulary.bytes(token);
  }
}

}  // namespace

bool fuzz_grammar(std::span<const uint8_t> data) {
  static const std::shared_ptr<const Vocabulary> vocabulary = small_vocabulary();
  if (data.empty()) return false;
  const auto kind = static_cast<SourceKind>(data[0] % 5);
  const auto rest = data.subspan(1);
  const GrammarSource source = {kind, std::string(rest.begin(), rest.end())};
  const auto grammar = Compiler(vocabulary).compile(source);
  if (!grammar) return false;
  const bool json = kind == SourceKind::kJsonObject || kind == SourceKind::kJsonSchema;
  walk(*grammar, json, std::hash<std::string>()(source.text));
  return true;
}

}  // namespace fathom::grammar
