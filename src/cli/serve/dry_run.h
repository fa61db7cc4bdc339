// `fathom serve --dry-run`: what each rank of a layout would hold and send, without weights.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/serve/layout_report.h"
#include "serving/options.h"

namespace fathom::cli {

struct DryRunOptions {
  bool enabled = false;
  int64_t ranks = 0;          // 0: as many as the layout has
  int64_t rank = -1;          // lists this one's tensors; -1: a line for each kind of rank
  int64_t device_memory = 0;  // bytes; 0: not known
  bool json = false;
};

// Plans `parallel` ("": one rank; "auto": whatever suits ranks and memory) for stack.model.
Result<LayoutReport> plan_layout(const serving::StackOptions& stack, const std::string& parallel,
                                 const DryRunOptions& options);

// Prints it. Returns the process's exit code: 1 also where the model does not fit the memory.
int run_dry_run(const serving::StackOptions& stack, const std::string& parallel,
                const DryRunOptions& options);

}  // namespace fathom::cli
