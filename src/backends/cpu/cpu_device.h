// One opened CPU device: its threads and the kernels it was opened with.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "backends/cpu/host/placement.h"
#include "backends/cpu/host/thread_pool.h"
#include "backends/cpu/kernels/kernel_set.h"
#include "device/abi.h"

struct fathom_device {
  fathom_device(const fathom::cpu::KernelSet& set, int threads, fathom::cpu::Placement where)
      : kernels(set), placement(std::move(where)), pool(threads, placement.processors) {}

  const fathom::cpu::KernelSet& kernels;
  const fathom::cpu::Placement placement;
  fathom::cpu::ThreadPool pool;
};

// Work runs at once, in the call that queues it: a stream has nothing to keep.
struct fathom_stream {};

struct fathom_event {
  std::chrono::steady_clock::time_point recorded = {};
};
