// Fathom's grammars for tests in other languages: reads one JSON request a line from stdin and
// answers each with one JSON line.
//   grammar_oracle_cli tokenizer.json
// {"schema": TEXT, "count": N, "seed": S} -> {"documents": [{"text": T, "complete": B}, ...]}:
//   texts drawn at random from masks, or {"error": MESSAGE, "where": PATH}
// {"schema": TEXT, "fits": [T, ...]}      -> {"fits": [B, ...]}: whether these are whole texts
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "grammar/compiler.h"
#include "grammar_walks.h"
#include "tokenizer/tokenizer.h"

namespace {

using fathom::grammar::CompiledGrammar;
using fathom::grammar::Compiler;
using fathom::grammar::Matcher;
using fathom::grammar::SourceKind;
using nlohmann::json;

json documents(const std::shared_ptr<const CompiledGrammar>& grammar, const json& request) {
  std::mt19937_64 random(request.at("seed").get<uint64_t>());
  fathom::grammar::Walker walker(grammar);
  json result = json::array();
  for (int i = request.at("count"); i > 0; --i) {
    const size_t wild = random() % 60;
    const auto walk = walker.walk(random, wild, [](double) {});
    // Ill-formed UTF-8, which must not be, shows as U+FFFD and a text that is marked as broken.
    const std::string shown = json(walk.text).dump(-1, ' ', false, json::error_handler_t::replace);
    result.push_back({{"text", json::parse(shown)}, {"complete", walk.complete}});
  }
  return {{"documents", result}};
}

bool fits(const std::shared_ptr<const CompiledGrammar>& grammar,
          const fathom::tokenizer::Tokenizer& tokenizer, const std::string& text) {
  Matcher matcher(grammar);
  for (const auto token : tokenizer.encode(text)) {
    if (!matcher.accept(token)) return false;
  }
  return matcher.can_end();
}

json answer(Compiler& compiler, const fathom::tokenizer::Tokenizer& tokenizer,
            const json& request) {
  const auto grammar = compiler.compile({SourceKind::kJsonSchema, request.at("schema")});
  if (!grammar) return {{"error", grammar.error().message}, {"where", grammar.error().where}};
  if (!request.contains("fits")) return documents(*grammar, request);
  json result = json::array();
  for (const json& text : request["fits"]) result.push_back(fits(*grammar, tokenizer, text));
  return {{"fits", result}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: grammar_oracle_cli tokenizer.json\n";
    return 2;
  }
  const auto tokenizer = fathom::tokenizer::Tokenizer::load(argv[1]);
  if (!tokenizer) {
    std::cerr << tokenizer.error().message << "\n";
    return 1;
  }
  Compiler compiler(fathom::grammar::vocabulary_of(*tokenizer));
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << answer(compiler, *tokenizer, json::parse(line)).dump() << "\n";
  }
  return 0;
}
