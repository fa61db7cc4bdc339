#include "cli/flags/other_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/flags/command_line.h"

namespace fathom::cli {
namespace {

std::string serve_with(std::vector<std::string> words, CommandLine& line) {
  words.insert(words.begin(), "serve");
  const auto answer = line.read(words, {});
  return answer ? answer->text : "";
}

std::string answer_to(std::vector<std::string> words) {
  CommandLine line;
  return serve_with(std::move(words), line);
}

TEST(OtherServers, WhatMeansTheSameIsTaken) {
  CommandLine line;
  EXPECT_EQ(
      serve_with({"-m", "x", "--max-model-len=5", "--served-model-name", "n", "--max-num-seqs", "7",
                  "--ssl-keyfile", "k", "--ssl-certfile", "c", "--disable-radix-cache", "-t", "3"},
                 line),
      "");
  const ServeOptions& serve = line.options().serve;
  EXPECT_EQ(serve.stack.model, "x");
  EXPECT_EQ(serve.stack.max_context, 5);
  EXPECT_EQ(serve.model_name, "n");
  EXPECT_EQ(serve.stack.max_running, 7);
  EXPECT_EQ(serve.edge.tls_key, "k");
  EXPECT_EQ(serve.edge.tls_certificate, "c");
  EXPECT_FALSE(serve.stack.prefix_cache);
  EXPECT_EQ(serve.stack.threads, 3);
}

TEST(OtherServers, LayoutsAreToldWhole) {
  using testing::HasSubstr;
  EXPECT_THAT(answer_to({"--tensor-parallel-size", "8"}),
              HasSubstr("write --parallel tp=8, and start 8 ranks"));
  EXPECT_THAT(answer_to({"--tp=4", "--pp", "2", "--enable-expert-parallel"}),
              HasSubstr("--tp, --pp, --enable-expert-parallel: write --parallel pp=2,tp=4, and "
                        "start 8 ranks (docs/layouts.md): mpirun -n 8"));
  EXPECT_THAT(answer_to({"--tp", "16", "--dp", "16", "--enable-dp-attention"}),
              HasSubstr("write --parallel dp=16, and start 16 ranks"));
  EXPECT_THAT(answer_to({"--tp", "8", "--ep", "4"}), HasSubstr("--parallel tp=8,ep=4"));
  EXPECT_THAT(answer_to({"-tp", "1"}), HasSubstr("-tp: one rank divides nothing; leave it out"));
  EXPECT_THAT(answer_to({"--tp", "many"}), HasSubstr("--tp: expected a number of ranks"));
  EXPECT_THAT(answer_to({"--parallel", "4"}), HasSubstr("--max-running 4"));
}

TEST(OtherServers, OthersAreAnsweredEachOnItsLine) {
  const std::string text = answer_to({"x", "--trust-remote-code", "--gpu-memory-utilization", "0.9",
                                      "--api-key", "sk-secret", "-c", "4096"});
  EXPECT_THAT(text, testing::HasSubstr("fathom: --trust-remote-code: not needed"));
  EXPECT_THAT(text, testing::HasSubstr("fathom: --gpu-memory-utilization: "));
  EXPECT_THAT(text, testing::HasSubstr("--api-keys FILE"));
  EXPECT_THAT(text, testing::HasSubstr("--max-context TOKENS"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("sk-secret")));
}

}  // namespace
}  // namespace fathom::cli
