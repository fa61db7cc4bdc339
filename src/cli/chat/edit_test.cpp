#include "cli/chat/edit.h"

#include <gtest/gtest.h>

#include "cli/chat/characters.h"

namespace fathom::cli {
namespace {

// "ab|c": the text "abc" with the cursor behind "ab".
EditedText text_with_cursor(std::u32string_view marked) {
  EditedText edited;
  const size_t cursor = marked.find('|');
  edited.insert(marked.substr(0, cursor));
  edited.insert(marked.substr(cursor + 1));
  edited.move_to(cursor);
  return edited;
}

std::string marked_text(const EditedText& edited) {
  const std::u32string_view text = edited.text();
  return encode_text(text.substr(0, edited.cursor())) + "|" +
         encode_text(text.substr(edited.cursor()));
}

void expect_edit(std::u32string_view before, KeyKind kind, std::u32string_view after) {
  EditedText edited = text_with_cursor(before);
  EXPECT_TRUE(edited.apply({kind}));
  EXPECT_EQ(marked_text(edited), encode_text(after)) << "from " << encode_text(before);
}

TEST(ChatEdit, InsertsAtTheCursor) {
  EditedText edited = text_with_cursor(U"ac|");
  edited.apply({KeyKind::kLeft});
  edited.apply({KeyKind::kText, U"b"});
  EXPECT_EQ(marked_text(edited), "ab|c");
  edited.apply({KeyKind::kPaste, U"1\n\x1b[2J\t2"});
  EXPECT_EQ(marked_text(edited), "ab1\n[2J\t2|c");  // a control character would draw
}

TEST(ChatEdit, MovesByCharacters) {
  expect_edit(U"\u4f60\u597d|", KeyKind::kLeft, U"\u4f60|\u597d");
  expect_edit(U"\u4f60|\u597d", KeyKind::kRight, U"\u4f60\u597d|");
  expect_edit(U"|", KeyKind::kLeft, U"|");
  expect_edit(U"a|", KeyKind::kRight, U"a|");
}

TEST(ChatEdit, TakesWhatBelongsTogetherForOneCharacter) {
  expect_edit(U"ae\u0301|", KeyKind::kLeft, U"a|e\u0301");                         // an accent
  expect_edit(U"|\u0e17\u0e35\u0e48x", KeyKind::kRight, U"\u0e17\u0e35\u0e48|x");  // Thai
  expect_edit(U"a\U0001F44D\U0001F3FD|", KeyKind::kBackspace, U"a|");              // a skin tone
  expect_edit(U"a\U0001F469\u200D\U0001F4BB|", KeyKind::kBackspace, U"a|");        // joined
  // Flags: pairs of letters, counted from the first.
  expect_edit(U"\U0001F1E9\U0001F1EA\U0001F1E8\U0001F1F3|", KeyKind::kLeft,
              U"\U0001F1E9\U0001F1EA|\U0001F1E8\U0001F1F3");
  expect_edit(U"|\U0001F1E9\U0001F1EA\U0001F1E8", KeyKind::kRight,
              U"\U0001F1E9\U0001F1EA|\U0001F1E8");
}

TEST(ChatEdit, ErasesCharacters) {
  expect_edit(U"\u4f60\u597d|\u5417", KeyKind::kBackspace, U"\u4f60|\u5417");
  expect_edit(U"|ab", KeyKind::kBackspace, U"|ab");
  expect_edit(
      U"a|\u597d"
      U"b",
      KeyKind::kDelete, U"a|b");
  expect_edit(U"ab|", KeyKind::kDelete, U"ab|");
}

TEST(ChatEdit, KnowsLines) {
  expect_edit(U"one\ntw|o\nthree", KeyKind::kHome, U"one\n|two\nthree");
  expect_edit(U"one\ntw|o\nthree", KeyKind::kEnd, U"one\ntwo|\nthree");
  expect_edit(U"one\n|\nthree", KeyKind::kHome, U"one\n|\nthree");
  expect_edit(U"one\ntw|o\nthree", KeyKind::kKillToHome, U"one\n|o\nthree");
  expect_edit(U"one\n|two", KeyKind::kKillToHome, U"one|two");
  expect_edit(U"one\nt|wo\nthree", KeyKind::kKillToEnd, U"one\nt|\nthree");
  expect_edit(U"one|\ntwo", KeyKind::kKillToEnd, U"one|two");
  expect_edit(U"|", KeyKind::kKillToHome, U"|");
  expect_edit(U"one|", KeyKind::kKillToEnd, U"one|");
  expect_edit(U"a|b", KeyKind::kLineBreak, U"a\n|b");
}

TEST(ChatEdit, KnowsWords) {
  expect_edit(U"one two  |three", KeyKind::kKillWord, U"one |three");
  expect_edit(U"one| two three", KeyKind::kKillWordRight, U"one| three");
  expect_edit(U"one two|", KeyKind::kWordLeft, U"one |two");
  expect_edit(U"|one two", KeyKind::kWordRight, U"one| two");
  expect_edit(U"|", KeyKind::kKillWord, U"|");
}

TEST(ChatEdit, BringsBackWhatWasKilled) {
  EditedText edited = text_with_cursor(U"one two|");
  edited.apply({KeyKind::kKillWord});
  edited.apply({KeyKind::kHome});
  edited.apply({KeyKind::kYank});
  EXPECT_EQ(marked_text(edited), "two|one ");
}

TEST(ChatEdit, GoesOnBehindABackslash) {
  EditedText edited = text_with_cursor(U"o|ne\\");
  EXPECT_TRUE(edited.go_on());
  EXPECT_EQ(marked_text(edited), "one\n|");
  for (const char32_t* whole : {U"|", U"one|", U"one\\\\|", U"\\ |", U"one\\\n|"}) {
    edited = text_with_cursor(whole);
    EXPECT_FALSE(edited.go_on());
    EXPECT_EQ(marked_text(edited), encode_text(whole));
  }
  edited = text_with_cursor(U"\\\\\\|");
  EXPECT_TRUE(edited.go_on());
  EXPECT_EQ(marked_text(edited), "\\\\\n|");
}

}  // namespace
}  // namespace fathom::cli
