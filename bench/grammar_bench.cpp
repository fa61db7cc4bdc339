// What grammars cost on one thread with a real vocabulary:
//   grammar_bench tokenizer.json grammars.json
// grammars.json is a list of {"name", and "schema" or "ebnf"}. For each: the milliseconds compiling
// took, states of the automaton, and the microseconds a mask took, over random texts, the first of
// which meet a grammar that has no masks yet. All in processor time. The last line is over all
// masks.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "grammar/compiler.h"
#include "grammar_walks.h"
#include "tokenizer/tokenizer.h"

namespace {

using fathom::grammar::CompiledGrammar;
using fathom::grammar::GrammarSource;
using fathom::grammar::SourceKind;
using fathom::grammar::thread_microseconds;

constexpr int kWalks = 20;
constexpr size_t kMostTokens = 500;

void print(const std::string& name, double compile, size_t states, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) {
    return times[static_cast<size_t>(part * static_cast<double>(times.size() - 1))];
  };
  std::printf("%-36.36s %8.2f %7zu %7zu %8.1f %8.1f %8.1f %8.1f\n", name.c_str(), compile, states,
              times.size(), at(0.5), at(0.9), at(0.99), times.back());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: grammar_bench tokenizer.json grammars.json\n");
    return 2;
  }
  const auto tokenizer = fathom::tokenizer::Tokenizer::load(argv[1]);
  if (!tokenizer) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
    return 1;
  }
  double begin = thread_microseconds();
  const auto vocabulary = fathom::grammar::vocabulary_of(*tokenizer);
  std::printf("vocabulary of %zu tokens in %.0f ms\n", vocabulary->size(),
              (thread_microseconds() - begin) / 1000);
  std::printf("%-36s %8s %7s %7s %8s %8s %8s %8s\n", "grammar", "compile", "states", "masks",
              "median", "90%", "99%", "worst us");
  std::ifstream file(argv[2]);
  std::vector<double> all;
  double slowest = 0;
  for (const auto& entry : nlohmann::ordered_json::parse(file)) {
    begin = thread_microseconds();
    const auto source = fathom::grammar::grammar_from(
        entry.contains("ebnf")
            ? GrammarSource{SourceKind::kEbnf, entry.at("ebnf").get<std::string>()}
            : GrammarSource{SourceKind::kJsonSchema, entry.at("schema").dump()});
    auto grammar = source ? CompiledGrammar::build(*source, vocabulary) : source.error();
    if (!grammar) continue;  // the list has schemas that are refused, too
    const double compile = (thread_microseconds() - begin) / 1000;
    std::mt19937_64 random(1);
    fathom::grammar::Walker walker(*grammar);
    std::vector<double> times;
    for (int i = 0; i < kWalks; ++i) {
      // Grammars that are made to be ambiguous take minutes to find an end of by trying.
      const size_t wild = entry.contains("ebnf") ? kMostTokens : 40;
      const auto walk = walker.walk(
          random, wild, [&](double took) { times.push_back(took); }, kMostTokens);
      if (!walk.complete && walk.tokens < kMostTokens) {
        std::fprintf(stderr, "%s: a mask had none, or one that is not allowed, behind %s\n",
                     entry.at("name").get<std::string>().c_str(), walk.text.c_str());
        return 1;
      }
    }
    print(entry.at("name"), compile, (*grammar)->automaton().state_count(), times);
    all.insert(all.end(), times.begin(), times.end());
    slowest = std::max(slowest, compile);
  }
  if (!all.empty()) print("all (slowest compile)", slowest, 0, all);
  return 0;
}
