// What drawing a token costs: build/bin/sampler_bench [seconds of each]. Logits are normal with a
// deviation of 3 over DeepSeek-V3's vocabulary.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <vector>

#include "sampling/logprobs.h"
#include "sampling/sampler.h"

namespace {

using fathom::sampling::Parameters;
using fathom::sampling::SamplerScratch;

constexpr int64_t kVocab = 129'280;
constexpr size_t kRows = 8;  // so that rows come from further away than the first-level cache

std::vector<std::vector<float>> random_rows() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<std::vector<float>> rows(kRows, std::vector<float>(kVocab));
  for (auto& row : rows) {
    for (float& logit : row) logit = normal(random);
  }
  return rows;
}

template <typename Body>
void report(const char* name, double seconds, const Body& body) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  int64_t calls = 0;
  double spent = 0;
  while (spent < seconds) {
    body(static_cast<size_t>(calls++));
    spent = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  fmt::print("{:<28} {:8.1f} us\n", name, spent / static_cast<double>(calls) * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.5;
  const auto rows = random_rows();
  SamplerScratch scratch(kVocab);
  const auto draw = [&](const char* name, const Parameters& params) {
    report(name, seconds, [&](size_t call) {
      const auto token = fathom::sampling::sample(
          rows[call % kRows], {.params = params, .tokens = {}, .banned = {}, .seed = call},
          scratch);
      if (!token) std::abort();
    });
  };
  Parameters params;
  params.temperature = 0;
  draw("greedy", params);
  params.temperature = 1;
  draw("temperature 1", params);
  params.top_p = 0.95f;
  draw("temperature 1, top_p 0.95", params);
  params.top_p = 1;
  params.top_k = 50;
  draw("temperature 1, top_k 50", params);
  params.top_k = 0;
  params.min_p = 0.05f;
  draw("temperature 1, min_p 0.05", params);
  report("log-probability, 20 best", seconds, [&](size_t call) {
    if (!fathom::sampling::token_logprob(rows[call % kRows], 7, 20, scratch)) std::abort();
  });
  return 0;
}
