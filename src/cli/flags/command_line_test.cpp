#include "cli/flags/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/flags/flag.h"
#include "cli/flags/help.h"

namespace fathom::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class CommandLineTest : public testing::Test {
 protected:
  ~CommandLineTest() override { std::filesystem::remove(file_); }

  void write(const std::string& text) { std::ofstream(file_) << text; }
  // The text to print, "" where there is none.
  std::string read(std::vector<std::string> words, const Variables& variables = {}) {
    line_ = std::make_unique<CommandLine>();
    const auto answer = line_->read(words, variables);
    exit_code_ = answer ? answer->exit_code : 0;
    return answer ? answer->text : "";
  }
  std::string read_with_file(std::vector<std::string> words, const Variables& variables = {}) {
    words.insert(words.end(), {"--config", file_});
    return read(std::move(words), variables);
  }
  const ServeOptions& serve() { return line_->options().serve; }

  std::unique_ptr<CommandLine> line_;
  int exit_code_ = 0;
  const std::string file_ =
      testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name() + ".toml";
};

TEST_F(CommandLineTest, FlagsComeBeforeVariablesBeforeTheFileBeforeDefaults) {
  write("port = 3\nhost = \"file\"\nmax-running = 3\nspeculate = 3\n");
  const Variables variables = {{"FATHOM_PORT", "2"}, {"FATHOM_MAX_RUNNING", "2"}};
  EXPECT_EQ(read_with_file({"serve", "--port", "1"}, variables), "");
  EXPECT_EQ(line_->command(), "serve");
  EXPECT_EQ(serve().edge.port, 1);
  EXPECT_EQ(serve().stack.max_running, 2);
  EXPECT_EQ(serve().edge.host, "file");
  EXPECT_EQ(serve().stack.max_waiting, 2048);
}

TEST_F(CommandLineTest, ACommandsTableComesBeforeTheTopLevel) {
  write("port = 3\ntemperature = 0.5\n[serve]\nport = 4\n[doctor]\nport = 5\n");
  EXPECT_EQ(read_with_file({"serve"}), "");
  EXPECT_EQ(serve().edge.port, 4);
  EXPECT_EQ(read_with_file({"doctor"}), "");
  EXPECT_EQ(line_->options().doctor.port, 5);
  EXPECT_EQ(read_with_file({"chat"}), "");
  EXPECT_EQ(line_->options().chat.temperature, 0.5);
}

TEST_F(CommandLineTest, SwitchesListsAndSizes) {
  write(
      "exact = true\npin = false\nprefix-cache = false\nalias = [\"a=b,thinking=on\", \"c\"]\n"
      "cors-origin = [\"https://a\", \"https://b\"]\ndry-run = true\ndevice-memory = \"2kB\"\n"
      "[bench]\nprompt = [1, 2]\n[chat]\nthinking = false\n");
  EXPECT_EQ(read_with_file({"serve"}), "");
  EXPECT_TRUE(serve().stack.exact);
  EXPECT_FALSE(serve().stack.pin);
  EXPECT_FALSE(serve().stack.prefix_cache);
  EXPECT_THAT(serve().aliases, testing::ElementsAre("a=b,thinking=on", "c"));
  EXPECT_THAT(serve().edge.cors_origins, testing::ElementsAre("https://a", "https://b"));
  EXPECT_EQ(serve().dry_run.device_memory, 2000);
  EXPECT_EQ(read_with_file({"bench"}), "");
  EXPECT_THAT(line_->options().bench.prompt, testing::ElementsAre(1, 2));
  EXPECT_EQ(read_with_file({"chat"}), "");
  EXPECT_EQ(line_->options().chat.thinking, std::optional(false));
}

TEST_F(CommandLineTest, VariablesAreSwitchesAndListsToo) {
  EXPECT_EQ(read({"serve"}, {{"FATHOM_EXACT", "yes"},
                             {"FATHOM_PIN", "off"},
                             {"FATHOM_PREFIX_CACHE", "0"},
                             {"FATHOM_ALIAS", "a=b,thinking=on c"},
                             {"FATHOM_ALLOWED_HOST", "a,b"},
                             {"FATHOM_HOST", ""}}),
            "");
  EXPECT_TRUE(serve().stack.exact);
  EXPECT_FALSE(serve().stack.pin);
  EXPECT_FALSE(serve().stack.prefix_cache);
  EXPECT_THAT(serve().aliases, testing::ElementsAre("a=b,thinking=on", "c"));
  EXPECT_THAT(serve().edge.allowed_hosts, testing::ElementsAre("a", "b"));
  EXPECT_EQ(serve().edge.host, "127.0.0.1");
}

TEST_F(CommandLineTest, WrongVariablesAreNamed) {
  EXPECT_EQ(read({"serve"}, {{"FATHOM_EXACT", "maybe"}}),
            "fathom: FATHOM_EXACT: expected 1, 0, true, false, on, off, yes or no, got maybe\n");
  EXPECT_EQ(exit_code_, 2);
  EXPECT_EQ(read({"serve"}, {{"FATHOM_PORT", "80x"}}),
            "fathom: FATHOM_PORT: expected a whole number from 0 to 65535, got 80x\n");
  EXPECT_EQ(read({"chat"}, {{"FATHOM_MAX_BODY", "x"}}), "");  // of another command
}

// A launcher's script may call its own number of ranks so.
TEST_F(CommandLineTest, WhatNeedsAnotherFlagCountsOnlyWithIt) {
  EXPECT_EQ(read({"serve"}, {{"FATHOM_RANKS", "4"}}), "");
  EXPECT_EQ(serve().dry_run.ranks, 0);
  EXPECT_EQ(read({"serve", "--dry-run"}, {{"FATHOM_RANKS", "4"}}), "");
  EXPECT_EQ(serve().dry_run.ranks, 4);
  EXPECT_THAT(read({"serve", "--ranks", "4"}), HasSubstr("--dry-run"));
}

TEST_F(CommandLineTest, OfTwoThatExcludeEachOtherTheStrongerSourceCounts) {
  const auto chat = [this]() -> const ChatOptions& { return line_->options().chat; };
  const Variables model = {{"FATHOM_MODEL", "DIR"}};
  EXPECT_EQ(read({"chat"}, model), "");
  EXPECT_EQ(chat().stack.model, "DIR");
  EXPECT_EQ(read({"chat", "--url", "http://a"}, model), "");
  EXPECT_EQ(chat().stack.model, "");
  EXPECT_EQ(read({"chat", "--model", "DIR"}, {{"FATHOM_URL", "http://a"}}), "");
  EXPECT_EQ(chat().stack.model, "DIR");
  write("model = \"DIR\"\n[chat]\nurl = \"http://a\"\n");
  EXPECT_EQ(read_with_file({"chat"}), "");
  EXPECT_EQ(chat().stack.model, "");
  EXPECT_THAT(read({"chat", "--url", "http://a", "--model", "DIR"}), HasSubstr("excludes"));
  EXPECT_EQ(exit_code_, 2);
}

TEST_F(CommandLineTest, TheFilesMistakesHaveALine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\nmax-runing = 1\n", ":2: max-runing: no flag of any command; did you mean max-running?"},
      {"[serve]\ntemperature = 1\n", ":2: temperature: no flag of fathom serve"},
      {"[bench]\nmodle = \"x\"\n", ":2: modle: no flag of fathom bench; did you mean model?"},
      {"[server]\nport = 1\n", ":1: [server]: expected a command's table: serve, chat, bench, "},
      {"port = \"80\"\n", ":1: port: expected a whole number, got the string \"80\""},
      {"port = 65536\n", ":1: port: expected a whole number from 0 to 65535, got 65536"},
      {"port = [1]\n", ":1: port: expected a whole number, got a list"},
      {"exact = 1\n", ":1: exact: expected true or false, got 1"},
      {"host = 1\n", ":1: host: expected a string, got 1"},
      {"alias = [\"a\", 1]\n", ":1: alias: expected a string or a list of such, got 1"},
      {"no-pin = true\n", ":1: no-pin: no flag of any command; write pin = false"},
      {"max-model-len = 5\n", "no flag of any command; write max-context"},
      {"config = \"x\"\n", ":1: config: no flag of any command"},
      {"port = 1\nport = 2\n", ":2: expected TOML: "},
      {"[[serve]]\nport = 1\n", ":1: serve: no flag of any command"},
      {"[serve.port]\nx = 1\n", ":1: port: expected a whole number, got a table"},
  };
  for (const auto& [text, says] : cases) {
    write(text);
    EXPECT_THAT(read_with_file({"serve"}), HasSubstr(file_ + ":")) << text;
    EXPECT_THAT(read_with_file({"serve"}), HasSubstr(says)) << text;
    EXPECT_EQ(exit_code_, 2) << text;
  }
  EXPECT_THAT(read({"serve", "--config", "/no/such.toml"}),
              HasSubstr("--config: /no/such.toml: No such file"));
  EXPECT_THAT(read({"serve"}, {{"FATHOM_CONFIG", testing::TempDir()}}),
              HasSubstr("FATHOM_CONFIG: " + testing::TempDir() + ": Is a directory"));
}

TEST_F(CommandLineTest, AllMistakesOfTheLineAreToldAtOnce) {
  const std::string text = read({"serve", "x", "y", "--prot", "1", "--port", "--exact"});
  EXPECT_EQ(exit_code_, 2);
  EXPECT_THAT(text, HasSubstr("fathom: serve: expected a flag, got y; the model is x\n"));
  EXPECT_THAT(text, HasSubstr("fathom: unknown flag --prot; did you mean --port?\n"));
  EXPECT_THAT(text, HasSubstr("fathom: --port: expected a value, got the flag --exact\n"));
  EXPECT_THAT(read({"serve", "--port", "1", "--port=2"}),
              HasSubstr("--port 2: expected it once, got --port 1 before"));
  EXPECT_THAT(read({"serve", "--port", "08x"}),
              HasSubstr("--port: expected a whole number from 0 to 65535, got 08x"));
  EXPECT_THAT(read({"serve", "--exact=perhaps"}), HasSubstr("--exact: expected 1, 0,"));
  EXPECT_THAT(read({"sevre"}), HasSubstr("unknown command sevre; did you mean serve?"));
  EXPECT_THAT(read({}), HasSubstr("expected a command: serve, chat,"));
  EXPECT_THAT(read({"convert", "x"}), HasSubstr("--out is required"));
}

TEST_F(CommandLineTest, AWordIsTheModel) {
  EXPECT_EQ(read({"serve", "--cors-origin", "a,b", "models/tiny", "--exact"}), "");
  EXPECT_EQ(serve().stack.model, "models/tiny");
  EXPECT_THAT(serve().edge.cors_origins, testing::ElementsAre("a", "b"));
  EXPECT_EQ(read({"serve", "--", "--model"}, {{"FATHOM_MODEL", "x"}}), "");
  EXPECT_EQ(serve().stack.model, "--model");
}

TEST_F(CommandLineTest, VariablesThatLookMeantAreDoubted) {
  read({"serve"}, {{"FATHOM_MAX_RUNING", "1"},
                   {"FATHOM_PROT", "1"},
                   {"FATHOM_BIN", "x"},  // near to FATHOM_PIN, but too short to tell
                   {"FATHOM_SSH_PORT", "1"},
                   {"FATHOM_MAX_BODY", "1"}});
  EXPECT_THAT(line_->warnings(),
              testing::ElementsAre(
                  "FATHOM_MAX_RUNING is no variable of fathom; did you mean FATHOM_MAX_RUNNING?",
                  "FATHOM_PROT is no variable of fathom; did you mean FATHOM_PORT?"));
}

TEST_F(CommandLineTest, PrintedSettingsSayWhereTheyAreFrom) {
  write("\nmax-running = 3\n");
  const std::string text = read_with_file({"serve", "a\"b", "--exact", "--print-config"},
                                          {{"FATHOM_PORT", "2"}, {"FATHOM_ALIAS", "a b"}});
  EXPECT_EQ(exit_code_, 0);
  EXPECT_THAT(text, HasSubstr("\nmodel = \"a\\\"b\"  # flag --model\n"));
  EXPECT_THAT(text, HasSubstr("\nexact = true  # flag --exact\n"));
  EXPECT_THAT(text, HasSubstr("\nport = 2  # environment FATHOM_PORT\n"));
  EXPECT_THAT(text, HasSubstr("\nalias = [\"a\", \"b\"]  # environment FATHOM_ALIAS\n"));
  EXPECT_THAT(text, HasSubstr("\nmax-running = 3  # file " + file_ + ":2\n"));
  EXPECT_THAT(text, HasSubstr("\nmax-waiting = 2048  # default\n"));
  EXPECT_THAT(text, HasSubstr("\npin = true  # default\n"));
  EXPECT_THAT(text, HasSubstr("\n# api-keys =  # not set\n"));
}

TEST_F(CommandLineTest, PrintedSettingsAreAFileOfTheSame) {
  const std::string first = read({"serve", "x", "--no-pin", "--alias", "a=b", "--device-memory",
                                  "1GB", "--dry-run", "--print-config"});
  write(first);
  const std::string second = read_with_file({"serve", "--print-config"});
  const auto values = [](const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
      lines.push_back(line.substr(0, line.find("  #")));
    return lines;
  };
  EXPECT_EQ(values(first), values(second));
}

TEST_F(CommandLineTest, KeysAreNotPrinted) {
  const std::string text = read({"chat", "--api-key", "sk-secret", "--print-config"});
  EXPECT_THAT(text, Not(HasSubstr("sk-secret")));
  EXPECT_THAT(text, HasSubstr("# api-key =  # flag --api-key, not shown"));
}

TEST_F(CommandLineTest, HelpHasEveryFlagInLinesOfAHundredColumns) {
  EXPECT_THAT(read({"--help"}), HasSubstr("serve "));
  EXPECT_THAT(read({"--version"}), HasSubstr("fathom "));
  const CommandLine all;
  for (const CLI::App* command : all.app().get_subcommands({})) {
    const std::string text =
        read({command->get_name(), "--help"}, {{"FATHOM_PORT", "wrong, but this is help"}});
    EXPECT_EQ(exit_code_, 0);
    for (const std::string& name : names_of(*command)) EXPECT_THAT(text, HasSubstr(name));
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) EXPECT_LE(line.size(), 100u) << line;
  }
}

}  // namespace
}  // namespace fathom::cli
