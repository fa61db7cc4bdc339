// What the simulated chip's kernels cost.
#pragma once

#include <string_view>

#include "base/result.h"

namespace fathom::sim {

// What one kernel reads and writes, and computes (a multiply and an add are two).
struct Work {
  double bytes = 0;
  double flops = 0;
};

// A kernel takes its launch, and then as long as its memory or its arithmetic does, whichever is
// slower. Rates of 0 are without limit.
struct CostModel {
  double read_bytes_per_s = 0;
  double flops_per_s = 0;
  double launch_s = 0;
  double memory_bytes = 80.0 * (1 << 30);
  double right_drafts = 1;  // share of the MTP layer's guesses that come true
  bool wall_clock = true;   // whether waiting for the chip takes real time

  bool is_free() const { return read_bytes_per_s == 0 && flops_per_s == 0 && launch_s == 0; }
  double seconds(const Work& work) const;

  // "KEY=NUMBER,...": read (GB/s), flops (TFLOP/s), launch (us), memory (GiB), drafts (0 to 1),
  // clock (wall or virtual). What is left out keeps its value above; "free" changes nothing.
  static Result<CostModel> parse(std::string_view text);
};

}  // namespace fathom::sim
