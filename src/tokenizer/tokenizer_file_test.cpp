#include "tokenizer/tokenizer_file.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tokenizer/testing/small_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace fathom::tokenizer {
namespace {

using nlohmann::json;

struct Damage {
  std::string where;  // the field that the error must name
  std::function<void(json&)> apply;
};

std::vector<Damage> damages() {
  const auto set = [](const char* pointer, json value) {
    return [pointer, value](json& root) { root[json::json_pointer(pointer)] = value; };
  };
  return {
      {"the file", [](json& root) { root = json::array(); }},
      {"model", set("/model", nullptr)},
      {"model.type", set("/model/type", "Unigram")},
      {"model.byte_fallback", set("/model/byte_fallback", true)},
      {"model.byte_fallback", set("/model/byte_fallback", "no")},
      {"model.dropout", set("/model/dropout", 0.1)},
      {"model.end_of_word_suffix", set("/model/end_of_word_suffix", "</w>")},
      {"model.continuing_subword_prefix", set("/model/continuing_subword_prefix", "##")},
      {"model.ignore_merges", set("/model/ignore_merges", 1)},
      {"model.vocab", set("/model/vocab", json::array({"a"}))},
      {"model.vocab", [](json& root) { root["model"].erase("vocab"); }},
      {"model.vocab", [](json& root) { root["model"]["vocab"].erase("Ġ"); }},
      {"model.vocab", set("/model/vocab/xyz", 97)},
      {"model.vocab[\"xyz\"]", set("/model/vocab/xyz", -1)},
      {"model.vocab[\"xyz\"]", set("/model/vocab/xyz", 2.5)},
      {"model.vocab[\"xyz\"]", set("/model/vocab/xyz", 1 << 20)},
      {"model.vocab[\"xyz\"]", set("/model/vocab/xyz", 18446744073709551615u)},
      {"model.vocab[\"xyz\"]", set("/model/vocab/xyz", json::object({{"a", 1}}))},
      {"model.vocab[\"xyz\"]", set("/model/vocab/xyz", json::array({1}))},
      {"model.merges", set("/model/merges", "a b")},
      {"model.merges", set("/model/merges", nullptr)},
      {"model.merges[1]", set("/model/merges/1", "ll")},
      {"model.merges[1]", set("/model/merges/1", "l l l")},
      {"model.merges[1]", set("/model/merges/1", 7)},
      {"model.merges[1]", set("/model/merges/1", json::object({{"a", 1}}))},
      {"model.merges[1]", set("/model/merges/1", json::array({"l"}))},
      {"model.merges[1]", set("/model/merges/1", json::array({"l", "l", "l"}))},
      {"model.merges[1]", set("/model/merges/1", json::array({"l", json::array({"l"})}))},
      {"model.merges[1]", set("/model/merges/1", json::array({json::object({{"l", 1}}), "l"}))},
      {"model.merges[2]", set("/model/merges/2", "he o")},
      {"added_tokens", set("/added_tokens", 5)},
      {"added_tokens[1]", set("/added_tokens/1", "x")},
      {"added_tokens[1].id", set("/added_tokens/1/id", -5)},
      {"added_tokens[1].id", set("/added_tokens/1/id", 2'000'000'000)},
      {"added_tokens[1].id", set("/added_tokens/1/id", 97)},
      {"added_tokens[1]", set("/added_tokens/1/id", kBos)},
      {"added_tokens[1].content", set("/added_tokens/1/content", "")},
      {"added_tokens[1].content", set("/added_tokens/1/content", nullptr)},
      {"added_tokens[1]", set("/added_tokens/1/content", kBosText)},
      {"added_tokens[1].lstrip", set("/added_tokens/1/lstrip", true)},
      {"added_tokens[1].rstrip", set("/added_tokens/1/rstrip", true)},
      {"added_tokens[1].single_word", set("/added_tokens/1/single_word", true)},
      {"added_tokens[1].special", set("/added_tokens/1/special", "yes")},
      {"model.merges[3]",
       [](json& root) { root["added_tokens"].push_back(added_token_json(259, "hello", false)); }},
      {"model.vocab",
       [](json& root) { root["added_tokens"].push_back(added_token_json('a', "a", false)); }},
      {"normalizer.type", set("/normalizer/type", "NFC")},
      {"normalizer.normalizers", set("/normalizer/normalizers", json::array({{{"type", "NFC"}}}))},
      {"pre_tokenizer", set("/pre_tokenizer", nullptr)},
      {"pre_tokenizer.type", set("/pre_tokenizer/type", "Metaspace")},
      {"pre_tokenizer", set("/pre_tokenizer/pretokenizers", json::array())},
      {"pre_tokenizer.pretokenizers", set("/pre_tokenizer/pretokenizers", 1)},
      {"pre_tokenizer.pretokenizers[0]", set("/pre_tokenizer/pretokenizers/0", 1)},
      {"pre_tokenizer.pretokenizers[0].behavior",
       set("/pre_tokenizer/pretokenizers/0/behavior", "Removed")},
      {"pre_tokenizer.pretokenizers[0].invert", set("/pre_tokenizer/pretokenizers/0/invert", true)},
      {"pre_tokenizer.pretokenizers[0].pattern",
       set("/pre_tokenizer/pretokenizers/0/pattern", json::object({{"String", " "}}))},
      {"pre_tokenizer.pretokenizers[1].pattern",
       set("/pre_tokenizer/pretokenizers/1/pattern/Regex", "(?R)")},
      {"pre_tokenizer.pretokenizers[3].add_prefix_space",
       set("/pre_tokenizer/pretokenizers/3/add_prefix_space", true)},
      {"pre_tokenizer.pretokenizers[4]",
       [](json& root) { root["pre_tokenizer"]["pretokenizers"].push_back(split_json("a")); }},
      {"decoder", set("/decoder", nullptr)},
      {"decoder.type", set("/decoder/type", "Metaspace")},
  };
}

TEST(TokenizerFile, RefusesDamageByTheNameOfTheField) {
  for (const Damage& damage : damages()) {
    json root = small_tokenizer_json();
    damage.apply(root);
    const Result<Tokenizer> parsed = Tokenizer::parse(root.dump());
    ASSERT_FALSE(parsed.ok()) << damage.where;
    const Error& error = parsed.error();
    EXPECT_EQ(error.where, damage.where) << error.message;
    EXPECT_NE(error.message.find("tokenizer.json: "), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("expected "), std::string::npos) << error.message;
    EXPECT_NE(error.message.find(", got "), std::string::npos) << error.message;
    EXPECT_LT(error.message.size(), 400u);
  }
}

TEST(TokenizerFile, AcceptsTheFormsThatFilesUse) {
  json root = small_tokenizer_json();
  for (json& merge : root["model"]["merges"]) {
    const std::string text = merge;
    const size_t space = text.find(' ');
    merge = {text.substr(0, space), text.substr(space + 1)};
  }
  root["normalizer"] = nullptr;
  root["model"]["dropout"] = nullptr;
  root["model"]["end_of_word_suffix"] = "";
  root["post_processor"] = {{"type", "anything"}};
  root["truncation"] = nullptr;
  root.erase("added_tokens");
  const Result<Tokenizer> parsed = Tokenizer::parse(root.dump());
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->encode("hello"), std::vector<TokenId>{259});
}

TEST(TokenizerFile, RefusesTextThatIsNoJson) {
  const std::string whole = small_tokenizer_json().dump();
  const std::string deep = std::string(100'000, '[');
  const std::string in_model = R"({"model":{"vocab":{"a":)" + deep;
  const std::string in_merges = R"({"model":{"merges":[)" + deep;
  std::string many = "[0";
  for (int i = 0; i < 1'000'001; ++i) many += ",0";
  for (const std::string& text :
       {std::string(), std::string("nonsense"), deep, in_model, in_merges, many + "]", whole + "x",
        std::string("\xFF"), std::string("1e999"), std::string(R"(["\ud800"])")}) {
    const Result<Tokenizer> parsed = Tokenizer::parse(text);
    ASSERT_FALSE(parsed.ok()) << text.substr(0, 40);
    EXPECT_NE(parsed.error().message.find("expected"), std::string::npos) << parsed.error().message;
  }
}

// Whatever bytes are lost or changed, the answer is an error or a tokenizer that works.
TEST(TokenizerFile, SurvivesRandomDamage) {
  const std::string whole = small_tokenizer_json().dump();
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    std::string text = whole;
    if (i % 5 == 0) text.resize(random() % text.size());
    for (size_t changes = random() % 4; changes > 0 && !text.empty(); --changes) {
      constexpr std::string_view kBytes = "{}[]\",:0-x \\";
      text[random() % text.size()] = kBytes[random() % kBytes.size()];
    }
    const Result<Tokenizer> parsed = Tokenizer::parse(text);
    if (!parsed) {
      ++refused;
      EXPECT_NE(parsed.error().message.find("expected"), std::string::npos);
    } else {
      EXPECT_EQ(parsed->decode(parsed->encode("hello 你")), "hello 你");
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_LT(refused, 500);
}

}  // namespace
}  // namespace fathom::tokenizer
