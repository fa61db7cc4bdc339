#include "serving/synthetic_tokenizer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tokenizer/byte_alphabet.h"

namespace fathom::serving {

using nlohmann::json;

namespace {

json special(int id, const char* text) {
  return {{"id", id},        {"content", text}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"special", true}, {"normalized", false}};
}

}  // namespace

std::map<std::string, std::string> synthetic_tokenizer(int64_t vocab_size) {
  json vocabulary = {{kSyntheticBos, 0}, {kSyntheticEos, 1}};
  for (const auto& character : tokenizer::byte_alphabet()) {
    vocabulary[character] = vocabulary.size();
  }
  vocabulary["Ġt"] = vocabulary.size();
  while (static_cast<int64_t>(vocabulary.size()) < vocab_size) {
    vocabulary[fmt::format("<filler{}>", vocabulary.size())] = vocabulary.size();
  }
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
  const json tokenizer = {
      {"version", "1.0"},
      {"added_tokens", {special(0, kSyntheticBos), special(1, kSyntheticEos)}},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"decoder", byte_level},
      {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", json::array({"Ġ t"})}}}};
  const json config = {
      {"add_bos_token", true}, {"bos_token", kSyntheticBos}, {"eos_token", kSyntheticEos}};
  return {{"tokenizer.json", tokenizer.dump()}, {"tokenizer_config.json", config.dump(2)}};
}

}  // namespace fathom::serving
