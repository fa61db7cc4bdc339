#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tokenizer/testing/small_tokenizer.h"

namespace fathom::tokenizer {
namespace {

using Ids = std::vector<TokenId>;

Ids concatenated(std::initializer_list<Ids> parts) {
  Ids all;
  for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(Tokenizer, EncodesAndDecodes) {
  const Tokenizer tokenizer = small_tokenizer();
  const Ids ids = tokenizer.encode("hello wor你d");
  EXPECT_EQ(ids, (Ids{259, 262, 266, 'd'}));
  EXPECT_EQ(tokenizer.decode(ids), "hello wor你d");
  EXPECT_EQ(tokenizer.encode(""), Ids{});
  EXPECT_EQ(tokenizer.vocab_size(), kUserTwo + 1);
}

TEST(Tokenizer, UsersTextGivesNoAddedToken) {
  const Tokenizer tokenizer = small_tokenizer();
  for (const char* text : {kBosText, kUserText, kUserTwoText}) {
    const std::string repeated = std::string(text) + text;
    for (const TokenId id : tokenizer.encode(repeated)) EXPECT_FALSE(tokenizer.is_added(id));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(repeated)), repeated);
  }
}

TEST(Tokenizer, AddedTokensAreFoundLongestFirst) {
  const Tokenizer tokenizer = small_tokenizer();
  const auto encode = [&](const std::string& text) {
    return tokenizer.encode_with_added_tokens(text);
  };
  EXPECT_EQ(encode(std::string(kBosText) + "hello" + kUserText + kUserTwoText + "2"),
            (Ids{kBos, 259, kUser, kUserTwo, '2'}));
  EXPECT_EQ(encode("<<｜User｜>"), (Ids{'<', kUser}));
  EXPECT_EQ(encode("<｜User｜"), tokenizer.encode("<｜User｜"));
}

// Tokens that are not normalized come first, even where another begins further left.
TEST(Tokenizer, NormalizedTokensAreFoundInWhatTheOthersLeft) {
  nlohmann::json description = small_tokenizer_json();
  description["added_tokens"] = {added_token_json(300, "abc", false),
                                 added_token_json(301, "cd", true)};
  const Tokenizer tokenizer = Tokenizer::parse(description.dump()).value();
  EXPECT_EQ(tokenizer.encode_with_added_tokens("abcd"), (Ids{'a', 'b', 301}));
  EXPECT_EQ(tokenizer.encode_with_added_tokens("abc"), (Ids{300}));
}

TEST(Tokenizer, PiecesAreTrustedOneByOne) {
  const Tokenizer tokenizer = small_tokenizer();
  const auto encode = [&](std::vector<Tokenizer::Piece> pieces) {
    return tokenizer.encode_pieces(pieces);
  };
  const Ids plain_user = tokenizer.encode(kUserText);
  EXPECT_EQ(encode({{kBosText, true}, {kUserText, false}}), concatenated({{kBos}, plain_user}));
  EXPECT_EQ(encode({{"<｜Us", true}, {"er｜>", true}}), Ids{kUser});
  EXPECT_EQ(encode({{"<｜Us", true}, {"er｜>", false}}), plain_user);
  EXPECT_EQ(encode({{"<｜Us", false}, {"er｜>", true}}), plain_user);
  EXPECT_EQ(encode({{"<｜", true}, {"User", false}, {"｜>", true}}), plain_user);
  // Ordinary text is one string across borders, characters included.
  EXPECT_EQ(encode({{"hel", true}, {"", false}, {"lo", false}, {kUserText, true}}),
            (Ids{259, kUser}));
  EXPECT_EQ(encode({{"\xE4\xBD", false}, {"\xA0", true}}), Ids{266});
  EXPECT_EQ(encode({}), Ids{});
}

TEST(Tokenizer, IllFormedBytesAreReplacementCharacters) {
  const Tokenizer tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.encode("a\xFF\xE4\xBD"), tokenizer.encode("a\uFFFD\uFFFD"));
  EXPECT_EQ(tokenizer.decode(Ids{'a', 0xFF, 'b', 0xE4}), "a\uFFFDb\uFFFD");
}

TEST(Tokenizer, LooksTokensUp) {
  const Tokenizer tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.token_to_id(kBosText), kBos);
  EXPECT_EQ(tokenizer.token_to_id(" wor"), 262);
  EXPECT_EQ(tokenizer.token_to_id("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer.token_bytes(262), " wor");
  EXPECT_EQ(tokenizer.token_bytes(0xE4), "\xE4");
  EXPECT_EQ(tokenizer.token_bytes(kUser), kUserText);
  for (const TokenId unused : {-1, 299, 303, 1 << 30}) {
    EXPECT_EQ(tokenizer.token_bytes(unused), "");
    EXPECT_FALSE(tokenizer.is_added(unused) || tokenizer.is_special(unused));
  }
  EXPECT_TRUE(tokenizer.is_special(kBos));
  EXPECT_TRUE(tokenizer.is_added(kUser) && !tokenizer.is_special(kUser));
}

TEST(Tokenizer, SkipsSpecialTokensWhenAsked) {
  const Tokenizer tokenizer = small_tokenizer();
  const Ids ids = {kBos, 259, kUser, 299};
  EXPECT_EQ(tokenizer.decode(ids, true), std::string("hello") + kUserText);
  EXPECT_EQ(tokenizer.decode(ids), std::string(kBosText) + "hello" + kUserText);
}

TEST(Tokenizer, EncodesOddTextsWithoutTrouble) {
  const Tokenizer tokenizer = small_tokenizer();
  const std::string long_text(1'000'000, 'a');
  EXPECT_EQ(tokenizer.encode(long_text).size(), 250'000u);
  for (const std::string unit : {" ", "\n", " \n", "0", "你", "=", "\u0301", "\x01", "\xFF"}) {
    std::string text;
    while (text.size() < 300'000) text += unit;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)).size(),
              unit == "\xFF" ? 3 * text.size() : text.size());
  }
}

TEST(Tokenizer, OtherSplitPatternsRunOnPcre2) {
  nlohmann::json description = small_tokenizer_json();
  description["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  EXPECT_EQ(Tokenizer::parse(description.dump()).value().encode("hello wor 12"),
            (Ids{259, 262, ' ', '1', '2'}));
  // Without a space of its own, " wor" cannot be one token.
  description["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {split_json("\\s"),
        {{"type", "Digits"}, {"individual_digits", true}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  EXPECT_EQ(Tokenizer::parse(description.dump()).value().encode("hello wor"),
            (Ids{259, ' ', 'w', 'o', 'r'}));
}

TEST(Tokenizer, TakesBosAndEosFromTheConfiguration) {
  const std::string description = small_tokenizer_json().dump();
  const auto with = [&](const char* config) { return Tokenizer::parse(description, config); };
  EXPECT_EQ(Tokenizer::parse(description)->bos(), std::nullopt);
  const Tokenizer both =
      with(R"({"bos_token": "<｜bos｜>", "eos_token": {"content": "<｜User｜>", "special": true}})")
          .value();
  EXPECT_EQ(both.bos(), kBos);
  EXPECT_EQ(both.eos(), kUser);
  EXPECT_EQ(with(R"({"bos_token": null})")->bos(), std::nullopt);
  EXPECT_EQ(with(R"({"bos_token": "nope"})").error().where, "bos_token");
  EXPECT_EQ(with(R"({"eos_token": 3})").error().where, "eos_token");
  EXPECT_FALSE(with("[]").ok());
}

TEST(Tokenizer, LoadsFilesAndNamesThoseItCannot) {
  const std::filesystem::path folder = testing::TempDir();
  const std::filesystem::path file = folder / "fathom_small_tokenizer.json";
  std::ofstream(file) << small_tokenizer_json().dump();
  EXPECT_EQ(Tokenizer::load(file).value().encode("hello"), Ids{259});
  const Error missing = Tokenizer::load(folder / "no_such_file.json").error();
  EXPECT_EQ(missing.code, ErrorCode::kNotFound);
  EXPECT_NE(missing.message.find("no_such_file.json"), std::string::npos);
  EXPECT_EQ(Tokenizer::load(folder).error().code, ErrorCode::kIo);
  EXPECT_EQ(Tokenizer::load(file, folder / "no_such_file.json").error().code, ErrorCode::kNotFound);
  std::filesystem::remove(file);
}

TEST(Tokenizer, ServesThreadsAtOnce) {
  nlohmann::json description = small_tokenizer_json();
  description["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  for (const Tokenizer& tokenizer :
       {small_tokenizer(), Tokenizer::parse(description.dump()).value()}) {
    const std::string text = "hello wor hello, 你好 12345\n";
    const Ids expected = tokenizer.encode(text);
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 500; ++round) wrong += tokenizer.encode(text) != expected;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
  }
}

}  // namespace
}  // namespace fathom::tokenizer
