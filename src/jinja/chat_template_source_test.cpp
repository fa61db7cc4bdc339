#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "jinja/chat_template.h"

namespace fathom::jinja {
namespace {

using ::testing::HasSubstr;

class ChatTemplateSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "chat_template_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const char* name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }

  void expect_error(ErrorCode code, const std::string& message) {
    const auto source = ChatTemplate::load_source(folder_);
    ASSERT_FALSE(source.ok());
    EXPECT_EQ(source.error().code, code);
    EXPECT_THAT(source.error().message, HasSubstr(message));
  }

  std::filesystem::path folder_;
};

TEST_F(ChatTemplateSourceTest, ReadsAStringAndTheTokens) {
  write("tokenizer_config.json",
        R"({"chat_template": "T\n", "bos_token": {"content": "<b>"}, "eos_token": "<e>"})");
  const auto source = ChatTemplate::load_source(folder_);
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->text, "T\n");
  EXPECT_EQ(source->tool_use, std::nullopt);
  EXPECT_EQ(source->bos_token, "<b>");
  EXPECT_EQ(source->eos_token, "<e>");
}

TEST_F(ChatTemplateSourceTest, ReadsNamedTemplates) {
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "tool_use", "template": "U"},
                              {"name": "rag", "template": "R"},
                              {"name": "default", "template": "D"}], "bos_token": null})");
  const auto source = ChatTemplate::load_source(folder_);
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->text, "D");
  EXPECT_EQ(source->tool_use, "U");
  EXPECT_EQ(source->bos_token, "");
}

TEST_F(ChatTemplateSourceTest, PrefersTheTemplateFile) {
  write("tokenizer_config.json", R"({"chat_template": 5, "bos_token": "<b>"})");
  write("chat_template.jinja", "F");
  const auto source = ChatTemplate::load_source(folder_);
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->text, "F");
  EXPECT_EQ(source->bos_token, "<b>");
}

TEST_F(ChatTemplateSourceTest, NamesWhatIsMissing) {
  expect_error(ErrorCode::kNotFound, "expected a chat template in chat_template.jinja or as");
  write("tokenizer_config.json", "{}");
  expect_error(ErrorCode::kNotFound, "expected a chat template in chat_template.jinja or as");
}

TEST_F(ChatTemplateSourceTest, NamesWhatIsWrong) {
  write("tokenizer_config.json", "[]");
  expect_error(ErrorCode::kDataCorrupt, "tokenizer_config.json: expected an object");
  write("tokenizer_config.json", R"({"chat_template": 5})");
  expect_error(ErrorCode::kDataCorrupt, "expected chat_template as a string or a list");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default"}]})");
  expect_error(ErrorCode::kDataCorrupt,
               "expected chat_template entries with a name and a template");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "x", "template": "y"}]})");
  expect_error(ErrorCode::kDataCorrupt, "expected a chat_template named 'default'");
  write("tokenizer_config.json", R"({"chat_template": "x", "eos_token": 5})");
  expect_error(ErrorCode::kDataCorrupt, "expected eos_token as a token's text");
  write("chat_template.jinja", std::string((1 << 20) + 1, 'a'));
  write("tokenizer_config.json", "{}");
  expect_error(ErrorCode::kDataCorrupt, "expected a readable template of at most 1 MiB");
}

}  // namespace
}  // namespace fathom::jinja
