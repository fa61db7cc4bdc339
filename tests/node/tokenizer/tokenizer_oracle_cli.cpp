// Fathom's tokenizer for tests in other languages: reads one JSON request a line from stdin and
// answers each with one JSON line.
//   tokenizer_oracle_cli tokenizer.json [tokenizer_config.json]
// {"op": "encode", "text": T}            -> {"ids", "decoded", "pushes"}: T as a user's text
// {"op": "encode", "hex": H}             -> the same for raw bytes
// {"op": "encode_added", "text": T}      -> the same with added tokens recognised
// {"op": "encode_pieces", "pieces": [{"text": T, "trusted": B}, ...]} -> the same
// {"op": "classes"}                      -> {"classes": one letter a code point, LMNPSW or -}
// "pushes" is what a Detokenizer returns for each id, and for the flush at the end.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tokenizer/detokenizer.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode_classes.h"

namespace {

using fathom::tokenizer::Detokenizer;
using fathom::tokenizer::TokenId;
using fathom::tokenizer::Tokenizer;
using nlohmann::json;

std::string bytes_from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

json classes() {
  constexpr const char* kLetters = "-LMNPSW";  // in the order of CharClass
  std::string letters;
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    letters += kLetters[static_cast<int>(fathom::tokenizer::char_class(code))];
  }
  return {{"classes", letters}};
}

std::vector<TokenId> encode_pieces(const Tokenizer& tokenizer, const json& pieces) {
  std::vector<Tokenizer::Piece> views;
  for (const json& piece : pieces) {
    views.push_back({piece.at("text").get_ref<const std::string&>(), piece.at("trusted")});
  }
  return tokenizer.encode_pieces(views);
}

json tokens(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  json pushes = json::array();
  Detokenizer detokenizer(tokenizer);
  for (const TokenId id : ids) pushes.push_back(detokenizer.push(id));
  pushes.push_back(detokenizer.flush());
  return {{"ids", ids}, {"decoded", tokenizer.decode(ids)}, {"pushes", pushes}};
}

json answer(const Tokenizer& tokenizer, const json& request) {
  const std::string op = request.at("op");
  if (op == "classes") return classes();
  if (op == "encode_pieces") {
    return tokens(tokenizer, encode_pieces(tokenizer, request.at("pieces")));
  }
  const std::string text = request.contains("hex") ? bytes_from_hex(request["hex"])
                                                   : request.at("text").get<std::string>();
  return tokens(tokenizer, op == "encode_added" ? tokenizer.encode_with_added_tokens(text)
                                                : tokenizer.encode(text));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: tokenizer_oracle_cli tokenizer.json [tokenizer_config.json]\n";
    return 2;
  }
  const auto tokenizer = Tokenizer::load(argv[1], argc > 2 ? argv[2] : "");
  if (!tokenizer) {
    std::cerr << tokenizer.error().message << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << answer(*tokenizer, json::parse(line)).dump() << "\n";
  }
  return 0;
}
