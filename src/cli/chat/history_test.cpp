#include "cli/chat/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace fathom::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ChatHistoryFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "fathom-history-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    file_ = directory_ / "state" / "fathom" / "history";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& text) const {
    std::filesystem::create_directories(file_.parent_path());
    std::ofstream(file_, std::ios::binary) << text;
  }
  std::string contents() const {
    std::ostringstream text;
    text << std::ifstream(file_, std::ios::binary).rdbuf();
    return text.str();
  }

  std::filesystem::path directory_;
  std::filesystem::path file_;
};

TEST(ChatHistoryLine, ComesBackAsItWas) {
  for (const std::string entry :
       {"plain", "two\nlines", "C:\\new\\\\", "\r\n", "\\n", "\\", "\xE4\xBD\xA0\t\\", ""}) {
    const std::string line = escape_history(entry);
    EXPECT_EQ(line.find_first_of("\r\n"), std::string::npos) << line;
    EXPECT_EQ(unescape_history(line), entry) << line;
  }
}

TEST(ChatHistoryLine, KeepsBackslashesThatMeanNothing) {
  EXPECT_EQ(unescape_history("a\\qb\\"), "a\\qb\\");
}

TEST_F(ChatHistoryFile, IsThereAtTheNextStart) {
  ChatHistory first(file_);
  EXPECT_TRUE(first.add("What is 1 + 2?"));
  EXPECT_TRUE(first.add("two\nlines"));
  EXPECT_TRUE(first.add("two\nlines"));
  EXPECT_THAT(first.entries(), ElementsAre("What is 1 + 2?", "two\nlines"));
  EXPECT_THAT(ChatHistory(file_).entries(), ElementsAre("What is 1 + 2?", "two\nlines"));
}

TEST_F(ChatHistoryFile, IsItsOwnersAlone) {
  write("old\n");
  ASSERT_EQ(chmod(file_.c_str(), 0644), 0);
  EXPECT_TRUE(ChatHistory(file_).add("new"));
  struct stat status = {};
  ASSERT_EQ(stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(contents(), "old\nnew\n");
}

TEST_F(ChatHistoryFile, TakesLinesOfSeveralChats) {
  ChatHistory one(file_);
  ChatHistory other(file_);
  EXPECT_TRUE(one.add("a"));
  EXPECT_TRUE(other.add("b"));
  EXPECT_TRUE(one.add("c"));
  EXPECT_EQ(contents(), "a\nb\nc\n");
}

TEST_F(ChatHistoryFile, KeepsTheLastEntriesOnly) {
  std::string text;
  for (size_t i = 0; i < 2 * ChatHistory::kMaxEntries + 1; ++i) text += std::to_string(i) + "\n";
  write(text);
  const ChatHistory history(file_);
  ASSERT_EQ(history.entries().size(), ChatHistory::kMaxEntries);
  EXPECT_EQ(history.entries().back(), std::to_string(2 * ChatHistory::kMaxEntries));
  EXPECT_EQ(ChatHistory(file_).entries(), history.entries());
  EXPECT_LT(contents().size(), text.size());
}

TEST_F(ChatHistoryFile, ReadsTheEndOfALongOne) {
  write(std::string(ChatHistory::kMaxBytes, 'x') + "\nlast\n");
  EXPECT_THAT(ChatHistory(file_).entries(), ElementsAre("last"));
}

TEST_F(ChatHistoryFile, SaysOnceThatItCannotBeWritten) {
  std::filesystem::create_directories(file_);  // a directory in its place
  ChatHistory history(file_);
  const auto added = history.add("a");
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().message, HasSubstr("the history is not kept: " + file_.string()));
  EXPECT_TRUE(history.add("b"));
  EXPECT_THAT(history.entries(), ElementsAre("a", "b"));
}

TEST_F(ChatHistoryFile, NeedsNone) {
  ChatHistory history("");
  EXPECT_TRUE(history.add("a"));
  EXPECT_THAT(history.entries(), ElementsAre("a"));
}

TEST(ChatHistoryPlace, FollowsTheEnvironment) {
  const char* const home_before = std::getenv("HOME");
  const std::string home = home_before == nullptr ? "" : home_before;
  setenv("HOME", "/home/ada", 1);
  setenv("XDG_STATE_HOME", "/state", 1);
  EXPECT_EQ(history_file(), "/state/fathom/history");
  setenv("XDG_STATE_HOME", "relative", 1);
  EXPECT_EQ(history_file(), "/home/ada/.local/state/fathom/history");
  unsetenv("XDG_STATE_HOME");
  EXPECT_EQ(history_file(), "/home/ada/.local/state/fathom/history");
  unsetenv("HOME");
  EXPECT_EQ(history_file(), "");
  if (home_before != nullptr) setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace fathom::cli
