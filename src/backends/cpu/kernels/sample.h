// Drawing tokens: the host's sampler on the pool's threads, whatever the kernel set, for the rule
// (sampling/rule.h) leaves no bit open.
#pragma once

#include <cstddef>

#include "backends/cpu/host/thread_pool.h"
#include "device/abi.h"

namespace fathom::cpu {

// Arguments that check_args.h has found right.
void sample(ThreadPool& pool, const fathom_sample_args& args);
size_t sample_workspace(int threads, const fathom_sample_args& args);

void take_tokens(ThreadPool& pool, const fathom_take_tokens_args& args);

}  // namespace fathom::cpu
