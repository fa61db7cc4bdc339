// One opened CPU device: its threads and the kernels it was opened with.
#pragma once

#include <chrono>
#include <string>

#include "backends/cpu/kernel_set.h"
#include "backends/cpu/thread_pool.h"
#include "device/abi.h"

struct fathom_device {
  fathom_device(const fathom::cpu::KernelSet& set, int threads) : kernels(set), pool(threads) {}

  const fathom::cpu::KernelSet& kernels;
  fathom::cpu::ThreadPool pool;
};

// Work runs at once, in the call that queues it: a stream has nothing to keep.
struct fathom_stream {};

struct fathom_event {
  std::chrono::steady_clock::time_point recorded = {};
};
