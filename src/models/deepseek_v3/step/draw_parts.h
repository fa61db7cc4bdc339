// What is drawn and read of a step, divided by data index as the step's rows are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/causal_lm.h"

namespace fathom::models::deepseek_v3 {

class DrawParts {
 public:
  // For so many draws of each data index at most.
  DrawParts(int64_t data_indices, int64_t max_draws);

  // first_rows: the first logit row of each data index, and behind the last one how many there are.
  // What `draws` point to must outlive the parts.
  void split(const StepDraws& draws, std::span<const int64_t> first_rows);
  // Rows count from the data index's first one.
  StepDraws operator[](size_t data) const;
  // Which draws of the step its draws are.
  std::span<const size_t> places(size_t data) const;

 private:
  struct Range {
    size_t begin = 0;
    size_t end = 0;
  };
  std::vector<Range> draws_of_, reads_of_;  // by data index
  std::vector<size_t> places_;
  std::vector<sampling::Draw> draws_;
  std::vector<int32_t> rows_, read_;
};

}  // namespace fathom::models::deepseek_v3
