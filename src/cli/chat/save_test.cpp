#include "cli/chat/save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace fathom::cli {
namespace {

using testing::HasSubstr;

const std::vector<ChatMessage> kTalk = {{"system", "Be brief."},
                                        {"user", "1 + 2?\nAnd 3?"},
                                        {"assistant", "3 \xE2\x9C\x93", "one\n\ntwo"}};

class SavedChat : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "fathom-chat-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  static std::string contents(const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }

  std::filesystem::path directory_;
};

TEST_F(SavedChat, IsMarkdown) {
  ASSERT_TRUE(save_conversation(path("talk.md"), "tiny", kTalk));
  EXPECT_EQ(contents(path("talk.md")),
            "# Chat with tiny\n\n## System\n\nBe brief.\n\n## You\n\n1 + 2?\nAnd 3?\n\n"
            "## tiny\n\n> one\n>\n> two\n\n3 \xE2\x9C\x93\n");
}

TEST_F(SavedChat, IsARequest) {
  ASSERT_TRUE(save_conversation(path("talk.json"), "tiny", kTalk));
  const auto saved = nlohmann::json::parse(contents(path("talk.json")));
  EXPECT_EQ(saved["model"], "tiny");
  ASSERT_EQ(saved["messages"].size(), 3u);
  EXPECT_EQ(saved["messages"][1],
            (nlohmann::json{{"role", "user"}, {"content", "1 + 2?\nAnd 3?"}}));
  EXPECT_EQ(saved["messages"][2]["reasoning_content"], "one\n\ntwo");
}

TEST_F(SavedChat, KeepsTextThatIsNoUtf8Writable) {
  EXPECT_TRUE(save_conversation(path("talk.json"), "tiny", {{"user", "\xFF"}}));
}

TEST_F(SavedChat, NeverReplacesAFile) {
  std::ofstream(path("talk.md")) << "mine";
  const auto saved = save_conversation(path("talk.md"), "tiny", kTalk);
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().message, HasSubstr("talk.md exists"));
  EXPECT_EQ(contents(path("talk.md")), "mine");
}

TEST_F(SavedChat, WantsAKnownExtension) {
  const auto saved = save_conversation(path("talk.doc"), "tiny", kTalk);
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().message, HasSubstr(".md or .json"));
  EXPECT_FALSE(std::filesystem::exists(path("talk.doc")));
}

TEST_F(SavedChat, SaysWhereItCannotWrite) {
  const auto saved = save_conversation(path("none/talk.md"), "tiny", kTalk);
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().message, HasSubstr("none/talk.md: No such file or directory"));
}

}  // namespace
}  // namespace fathom::cli
