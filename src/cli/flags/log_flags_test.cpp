#include "cli/flags/log_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace fathom::cli {
namespace {

LogOptions parsed_log_flags(const std::string& line) {
  CLI::App app;
  LogOptions options;
  add_log_flags(app, options);
  app.parse(line);
  return options;
}

TEST(LogFlags, HaveDefaultsThatTellNoPrompts) {
  const LogOptions options = parsed_log_flags("");
  EXPECT_EQ(options.format, LogFormat::kText);
  EXPECT_EQ(options.level, LogLevel::kInfo);
  EXPECT_TRUE(request_log_options(options).lines);
  EXPECT_FALSE(request_log_options(options).texts);
}

TEST(LogFlags, AreTaken) {
  const LogOptions options =
      parsed_log_flags("--log-format json --log-level warning --log-requests off --log-prompts");
  EXPECT_EQ(options.format, LogFormat::kJson);
  EXPECT_EQ(options.level, LogLevel::kWarning);
  EXPECT_FALSE(request_log_options(options).lines);
  EXPECT_TRUE(request_log_options(options).texts);
  EXPECT_THROW(parsed_log_flags("--log-format xml"), CLI::ParseError);
  EXPECT_THROW(parsed_log_flags("--log-level loud"), CLI::ParseError);
}

TEST(LogFlags, PromptsNeedTheLinesOfRequests) {
  EXPECT_TRUE(check_log(parsed_log_flags("--log-prompts")).ok());
  const Status alone = check_log(parsed_log_flags("--log-prompts --log-requests off"));
  ASSERT_FALSE(alone.ok());
  EXPECT_EQ(alone.error().where, "--log-prompts");
}

}  // namespace
}  // namespace fathom::cli
