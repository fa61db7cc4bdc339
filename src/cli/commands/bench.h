// `fathom bench`: prompt and decode speed by length, depth and batch, each beside the speed that
// the machine's own limits, measured in the same run, would allow.
#pragma once

#include <cstdint>
#include <vector>

#include "serving/stack.h"

namespace fathom::cli {

struct BenchOptions {
  serving::StackOptions stack;
  std::vector<int64_t> prompt = {128, 512};  // prompt lengths to read
  std::vector<int64_t> decode = {32};        // tokens to generate
  std::vector<int64_t> depth = {0};          // tokens in the cache before
  std::vector<int64_t> batch = {1, 4};       // sequences at once
  int repeat = 3;                            // the median counts
  bool json = false;
};

// Prints a table, or JSON, on stdout. Returns the process's exit code.
int run_bench(const BenchOptions& options);

}  // namespace fathom::cli
