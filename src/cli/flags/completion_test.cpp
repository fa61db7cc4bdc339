#include "cli/flags/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace fathom::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Completion : public ::testing::Test {
 protected:
  Completion() : app_("About", "fathom") {
    auto* serve = app_.add_subcommand("serve", "serve: a model");
    serve->add_option("--model", model_, "the model's [directory]");
    serve->add_option("--cache", cache_, "a choice")->check(CLI::IsMember({"on", "off"}));
    serve->add_flag("--pin,!--no-pin", pin_, "keep threads");
    serve->add_option("--alias", aliases_, "names");
    serve->add_option("--secret", model_, "nobody's business")->group("");
    app_.add_subcommand("chat", "talk");
  }
  std::string script(const char* shell) const {
    return completion_script(app_, shell).value_or("none");
  }

 private:
  CLI::App app_;
  std::string model_;
  std::string cache_;
  std::vector<std::string> aliases_;
  bool pin_ = false;
};

TEST_F(Completion, BashHasCommandsFlagsAndChoices) {
  const std::string text = script("bash");
  EXPECT_THAT(text, HasSubstr("words='--help serve chat'"));
  EXPECT_THAT(text, HasSubstr("'serve --cache') words='on off' ;;"));
  EXPECT_THAT(text, HasSubstr("'serve --model') return ;;"));
  EXPECT_THAT(text, HasSubstr("'serve '*) words='--help --model --cache --pin --no-pin --alias'"));
  EXPECT_THAT(text, Not(HasSubstr("'serve --pin')")));  // it takes no value
  EXPECT_THAT(text, Not(HasSubstr("secret")));
}

TEST_F(Completion, ZshQuotesWhatItWouldTakeForItsOwn) {
  const std::string text = script("zsh");
  EXPECT_THAT(text, HasSubstr(R"('serve:serve\: a model')"));
  EXPECT_THAT(text, HasSubstr(R"('--model=[the model'\''s \[directory\]]:value:_files')"));
  EXPECT_THAT(text, HasSubstr("'--cache=[a choice]:value:(on off)'"));
  EXPECT_THAT(text, HasSubstr("'--no-pin[keep threads]'"));
  EXPECT_THAT(text, HasSubstr("'*--alias=[names]:value:_files'"));
}

TEST_F(Completion, OtherShellsHaveNone) {
  EXPECT_EQ(script("fish"), "none");
}

}  // namespace
}  // namespace fathom::cli
