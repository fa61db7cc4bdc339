#include "cli/chat/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fathom::cli {
namespace {

using testing::HasSubstr;

void expect_line(std::string_view typed, ChatAction action, std::optional<std::string> text) {
  const auto line = parse_chat_line(typed);
  ASSERT_TRUE(line) << typed << ": " << line.error().message;
  EXPECT_EQ(line->action, action) << typed;
  EXPECT_EQ(line->text, text) << typed;
}

std::string refusal(std::string_view typed) {
  const auto line = parse_chat_line(typed);
  return line ? "understood" : line.error().message;
}

TEST(ChatCommand, TakesMostLinesForWords) {
  expect_line("What is 1 + 2?", ChatAction::kSay, "What is 1 + 2?");
  expect_line("one\ntwo", ChatAction::kSay, "one\ntwo");
  expect_line("1/2", ChatAction::kSay, "1/2");
  expect_line("//help", ChatAction::kSay, "/help");
  expect_line("///", ChatAction::kSay, "//");
}

TEST(ChatCommand, FindsCommands) {
  expect_line("/help", ChatAction::kHelp, std::nullopt);
  expect_line("/reset  ", ChatAction::kReset, std::nullopt);
  expect_line("/think", ChatAction::kThink, std::nullopt);
  expect_line("/quit", ChatAction::kQuit, std::nullopt);
  expect_line("/save my notes.md", ChatAction::kSave, "my notes.md");
}

TEST(ChatCommand, AsksForASystemPromptOrGivesOne) {
  expect_line("/system", ChatAction::kSystem, std::nullopt);
  expect_line("/system Be brief.", ChatAction::kSystem, "Be brief.");
  expect_line("/system\nBe brief.\nBe kind.\n", ChatAction::kSystem, "Be brief.\nBe kind.");
  expect_line("/system \"\"", ChatAction::kSystem, "");
}

TEST(ChatCommand, NamesTheNearest) {
  EXPECT_THAT(refusal("/rest"), HasSubstr("did you mean /reset?"));
  EXPECT_THAT(refusal("/exit"), HasSubstr("did you mean /quit?"));
  EXPECT_THAT(refusal("/systen Be brief."), HasSubstr("did you mean /system?"));
  EXPECT_THAT(refusal("/usr/share/doc is what?"), HasSubstr("see /help"));
  EXPECT_THAT(refusal("/usr/share/doc is what?"), HasSubstr("//usr/share/doc"));
  EXPECT_THAT(refusal("/"), HasSubstr("see /help"));
}

TEST(ChatCommand, SaysWhatIsMissingOrTooMuch) {
  EXPECT_THAT(refusal("/save"), HasSubstr("expected /save FILE"));
  EXPECT_THAT(refusal("/reset all"), HasSubstr("expected nothing behind it"));
}

TEST(ChatCommand, ListsEveryCommand) {
  for (const char* name : {"/help", "/reset", "/system", "/save", "/think", "/quit", "//text"}) {
    EXPECT_THAT(chat_commands(), HasSubstr(name));
  }
}

}  // namespace
}  // namespace fathom::cli
