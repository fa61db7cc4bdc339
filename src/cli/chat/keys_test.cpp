#include "cli/chat/keys.h"

#include <gtest/gtest.h>

#include <vector>

#include "cli/chat/characters.h"

namespace fathom::cli {
namespace {

std::vector<Key> keys_in(const std::vector<std::string>& pieces) {
  KeyParser parser;
  std::vector<Key> keys;
  for (const auto& piece : pieces) {
    parser.feed(piece);
    while (auto key = parser.next()) keys.push_back(std::move(*key));
  }
  return keys;
}

std::vector<KeyKind> kinds_in(const std::string& bytes) {
  std::vector<KeyKind> kinds;
  for (const auto& key : keys_in({bytes})) kinds.push_back(key.kind);
  return kinds;
}

void expect_kind(const std::string& bytes, KeyKind kind) {
  EXPECT_EQ(kinds_in(bytes), std::vector<KeyKind>{kind}) << testing::PrintToString(bytes);
}

TEST(ChatKeys, KnowsWhatTerminalsSend) {
  expect_kind("\r", KeyKind::kEnter);
  expect_kind("\n", KeyKind::kEnter);
  expect_kind("\x1b\r", KeyKind::kLineBreak);
  expect_kind("\x1b[13;2u", KeyKind::kLineBreak);
  expect_kind("\x1b[27;2;13~", KeyKind::kLineBreak);
  for (const char* up : {"\x1b[A", "\x1bOA"}) expect_kind(up, KeyKind::kUp);
  for (const char* left : {"\x1b[D", "\x1bOD", "\x02"}) expect_kind(left, KeyKind::kLeft);
  for (const char* home : {"\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01"}) {
    expect_kind(home, KeyKind::kHome);
  }
  for (const char* end : {"\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x05"}) {
    expect_kind(end, KeyKind::kEnd);
  }
  for (const char* word : {"\x1b[1;5C", "\x1b[1;3C",
                           "\x1b"
                           "f"}) {
    expect_kind(word, KeyKind::kWordRight);
  }
  expect_kind("\x1b[3~", KeyKind::kDelete);
  expect_kind("\x7f", KeyKind::kBackspace);
  expect_kind("\x17", KeyKind::kKillWord);
  expect_kind("\x15", KeyKind::kKillToHome);
  expect_kind("\x03", KeyKind::kInterrupt);
  expect_kind("\x04", KeyKind::kDeleteOrFinish);
}

TEST(ChatKeys, PassesOverWhatItDoesNotKnow) {
  for (const char* bytes : {"\x1b[15~", "\x1b[?1;2c", "\x1bOP", "\x1bx", "\x1b[5~", "\x1b[I"}) {
    EXPECT_EQ(kinds_in(std::string(bytes) + "\r"), std::vector<KeyKind>{KeyKind::kEnter}) << bytes;
  }
}

TEST(ChatKeys, TakesTextWhereverItIsCut) {
  const std::string typed = "a\xE4\xBD\xA0\xF0\x9F\x91\x8D";
  for (size_t cut = 0; cut <= typed.size(); ++cut) {
    std::u32string text;
    for (const auto& key : keys_in({typed.substr(0, cut), typed.substr(cut)})) {
      EXPECT_EQ(key.kind, KeyKind::kText);
      text += key.text;
    }
    EXPECT_EQ(encode_text(text), typed) << cut;
  }
}

TEST(ChatKeys, TakesSequencesWhereverTheyAreCut) {
  const std::string typed = "\x1b[1;5D";
  for (size_t cut = 0; cut <= typed.size(); ++cut) {
    const auto keys = keys_in({typed.substr(0, cut), typed.substr(cut)});
    ASSERT_EQ(keys.size(), 1u) << cut;
    EXPECT_EQ(keys[0].kind, KeyKind::kWordLeft) << cut;
  }
}

TEST(ChatKeys, ShowsBytesThatAreNoText) {
  const auto keys = keys_in({"\xE4\xBD", "a\xFF\r"});
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].text,
            U"\xFFFD"
            U"a\xFFFD");
  EXPECT_EQ(keys[1].kind, KeyKind::kEnter);
}

TEST(ChatKeys, TakesAPasteAsOne) {
  std::string lines;
  for (int i = 0; i < 2000; ++i) lines += "line " + std::to_string(i) + "\r";
  const std::string sent = "\x1b[200~" + lines + "\x1b[201~\r";
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{4096}}) {
    std::vector<std::string> pieces;
    for (size_t i = 0; i < sent.size(); i += piece) pieces.push_back(sent.substr(i, piece));
    const auto keys = keys_in(pieces);
    ASSERT_EQ(keys.size(), 2u);
    EXPECT_EQ(keys[0].kind, KeyKind::kPaste);
    std::string pasted = encode_text(keys[0].text);
    for (char& c : lines) c = c == '\r' ? '\n' : c;
    EXPECT_EQ(pasted, lines);
    EXPECT_EQ(keys[1].kind, KeyKind::kEnter);
  }
}

TEST(ChatKeys, TakesLineBreaksOfAPasteAsTheyCome) {
  const auto keys = keys_in({"\x1b[200~a\r\nb\nc\rd\te\x1b[201~"});
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].text, U"a\nb\nc\nd\te");
}

TEST(ChatKeys, LetsCtrlCOutOfAnything) {
  for (const char* begun : {"\x1b[200~lost", "\x1b[1;", "\x1b", "\xE4\xBD"}) {
    const auto keys = keys_in({begun, "\x03"});
    ASSERT_FALSE(keys.empty()) << begun;
    EXPECT_EQ(keys.back().kind, KeyKind::kInterrupt) << begun;
  }
  EXPECT_EQ(kinds_in("\x1b[200~lost\x03"
                     "a\r"),
            (std::vector<KeyKind>{KeyKind::kInterrupt, KeyKind::kText, KeyKind::kEnter}));
}

}  // namespace
}  // namespace fathom::cli
