// Damaged schemas, patterns and grammars: cut, repeated, mixed and with other bytes in them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "grammar/compiler.h"
#include "grammar/testing/fuzz.h"

namespace fathom::grammar {
namespace {

const std::vector<std::string>& seeds(SourceKind kind) {
  static const std::vector<std::string> schemas = {
      R"({"type":"object","properties":{"a":{"type":"integer","minimum":-5,"maximum":12},"b":{"type":"string",
          "maxLength":9,"pattern":"^[a-z]+$"}},"required":["a"],"additionalProperties":{"type":"null"}})",
      R"({"$defs":{"n":{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"number","exclusiveMinimum":0.5}]},
          "maxItems":4}},"$ref":"#/$defs/n"})",
      R"({"oneOf":[{"type":"object","properties":{"t":{"const":"x"}},"required":["t"]},{"enum":[1,null,"a\u00e9",[{}]]}]})",
      R"({"allOf":[{"type":"object","patternProperties":{"^k":{"type":"boolean"}}},{"minProperties":1}],"nullable":true})",
      R"({"type":["string","null"],"format":"date-time","minLength":20})",
      R"({"type":"object","propertyNames":{"maxLength":3},"maxProperties":2,"additionalProperties":{"multipleOf":7,"type":"integer"}})"};
  static const std::vector<std::string> patterns = {"^(a|bc)*[^d-f\\s]{2,5}$",
                                                    "(x+x+)+y?|\\u00e9\\d{1,30}",
                                                    "((a{1,9}){1,9}){1,9}", ".*foo.*[\\w.-]+@"};
  static const std::vector<std::string> grammars = {
      "root ::= sum\nsum ::= term ((\"+\" | \"-\") term)*\nterm ::= [0-9]+ | \"(\" sum \")\" # x\n",
      "root ::= a b? c{2,7} | \"\\n\" root\na ::= [^x] a | \"\"\nb ::= a a \"!\"\nc ::= . | c2\nc2 "
      "::= \"q\" root",
  };
  return kind == SourceKind::kEbnf ? grammars : kind == SourceKind::kRegex ? patterns : schemas;
}

std::string damaged(std::string text, const std::vector<std::string>& others,
                    std::mt19937& random) {
  const auto position = [&] { return text.empty() ? 0 : random() % text.size(); };
  for (int times = random() % 4 == 0 ? 3 : 1; times > 0; --times) {
    const size_t at = position();
    switch (random() % 5) {
      case 0:
        text.erase(at, 1 + random() % 8);
        break;
      case 1:
        text.insert(at, 1, "\"{}[]():,0*+?|\\^$#."[random() % 18]);
        break;
      case 2:
        if (!text.empty()) text[at] = static_cast<char>(random() % 256);
        break;
      case 3:
        text.insert(at, text.substr(position(), random() % 20));
        break;
      default: {
        const std::string& other = others[random() % others.size()];
        text.insert(at, other.substr(random() % other.size(), random() % 30));
      }
    }
  }
  return text;
}

void collect(nlohmann::ordered_json& value, std::vector<nlohmann::ordered_json*>& all) {
  all.push_back(&value);
  if (!value.is_structured()) return;
  for (auto& part : value) collect(part, all);
}

// A schema with a part of another one in place of a part: still JSON, often still a schema.
std::string grafted(const std::string& text, const std::string& other, std::mt19937& random) {
  auto schema = nlohmann::ordered_json::parse(text);
  auto donor = nlohmann::ordered_json::parse(other);
  std::vector<nlohmann::ordered_json*> places;
  std::vector<nlohmann::ordered_json*> parts;
  collect(schema, places);
  collect(donor, parts);
  const auto part = *parts[random() % parts.size()];
  *places[random() % places.size()] = part;
  return schema.dump();
}

TEST(GrammarFuzz, DamagedSourcesCompileAndWalkOrAreRefused) {
  std::mt19937 random(77);
  for (const SourceKind kind : {SourceKind::kJsonSchema, SourceKind::kRegex, SourceKind::kEbnf}) {
    int good = 0;
    for (int round = 0; round < 300; ++round) {
      const auto& texts = seeds(kind);
      std::string text = texts[static_cast<size_t>(round) % texts.size()];
      const bool graft = kind == SourceKind::kJsonSchema && round % 2 == 0;
      if (graft) text = grafted(text, texts[random() % texts.size()], random);
      if (!graft && round >= static_cast<int>(texts.size())) text = damaged(text, texts, random);
      std::vector<uint8_t> data = {static_cast<uint8_t>(kind)};
      data.insert(data.end(), text.begin(), text.end());
      SCOPED_TRACE(text);
      good += fuzz_grammar(data) ? 1 : 0;
    }
    EXPECT_GT(good, 20);
  }
}

}  // namespace
}  // namespace fathom::grammar
