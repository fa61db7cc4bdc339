// A tokenizer.json small enough to read, with DeepSeek-V3's structure: byte tokens 0 to 255, then
// one token a merge, then added tokens. For tests only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/deepseek_split.h"
#include "tokenizer/tokenizer.h"

namespace fathom::tokenizer {

inline constexpr TokenId kFirstMerged = 256;
inline constexpr TokenId kBos = 300;   // special, not normalized
inline constexpr TokenId kUser = 301;  // not special, normalized
inline constexpr TokenId kUserTwo = 302;
inline constexpr const char* kBosText = "<｜bos｜>";
inline constexpr const char* kUserText = "<｜User｜>";
inline constexpr const char* kUserTwoText = "<｜User｜>2";

inline nlohmann::json added_token_json(TokenId id, const char* content, bool special) {
  return {{"id", id},        {"content", content}, {"special", special},  {"normalized", !special},
          {"lstrip", false}, {"rstrip", false},    {"single_word", false}};
}

inline nlohmann::json split_json(const std::string& pattern) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

// Tokens 256 on: "he", "ll", "hell", "hello", "Ġw", "Ġwo", "Ġwor", "aa", "aaaa", "ä½ł" (你).
inline nlohmann::json small_tokenizer_json() {
  nlohmann::json vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary[byte_alphabet()[byte]] = byte;
  const std::vector<std::pair<std::string, std::string>> rules = {
      {"h", "e"},   {"l", "l"}, {"he", "ll"}, {"hell", "o"}, {"Ġ", "w"}, {"Ġw", "o"},
      {"Ġwo", "r"}, {"a", "a"}, {"aa", "aa"}, {"ä", "½"},    {"ä½", "ł"}};
  nlohmann::json merges = nlohmann::json::array();
  TokenId next = kFirstMerged;
  for (const auto& [left, right] : rules) {
    vocabulary[left + right] = next++;
    merges.push_back(left + " " + right);
  }
  nlohmann::json steps = nlohmann::json::array();
  for (const std::string& pattern : deepseek_split_patterns()) steps.push_back(split_json(pattern));
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  return {{"added_tokens",
           {added_token_json(kBos, kBosText, true), added_token_json(kUser, kUserText, false),
            added_token_json(kUserTwo, kUserTwoText, false)}},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", nlohmann::json::array()}}},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"}, {"byte_fallback", false}, {"vocab", vocabulary}, {"merges", merges}}}};
}

inline Tokenizer small_tokenizer() {
  return Tokenizer::parse(small_tokenizer_json().dump()).value();
}

}  // namespace fathom::tokenizer
