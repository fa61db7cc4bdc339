// What the emulated dialect's words call: a GPU thread's view of the block that runs it. C++17, for
// device code includes it. Whatever a kernel does wrong ends its launch with a report that names
// kernel, block, thread and the word's place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/emulated/site.h"
#include "backends/gpu/kernel_set.h"

namespace fathom::emulated {

inline constexpr int kSharedBytes = 64 * 1024;
inline constexpr int kMostThreads = 1024;
inline constexpr int kMostWarp = 128;
inline constexpr int kMostLaunchBytes = 512;  // of a kernel's arguments

// Where the thread that runs is. Words read it.
struct Place {
  int thread, threads, lane, warp;
  int64_t block_x, blocks_x;
  int block_y, block_z, blocks_y, blocks_z;
};
const Place& place();

// The host's address of device memory that one access touches; `bytes` is its width.
const void* read_global(const void* address, int bytes, Site site);
void* write_global(void* address, int bytes, Site site);
// Held by one thread of the host at a time, whatever block it runs.
void atomic_add_global(void* address, int bytes, int64_t value, Site site);

const void* read_shared(int byte, int bytes, Site site);
void* write_shared(int byte, int bytes, Site site);

// Queued copies of this thread; they happen while it waits for them, no sooner. from NULL: zeros.
void copy_async(int to_byte, const void* from, int bytes, Site site);
void copy_commit();
void copy_wait(int groups_left, Site site);

void block_barrier(Site site);
void warp_barrier(Site site);

// All lanes of the warp come here, each with something of its own; the last one to come does
// `work` for all of them, `mine` of lane i being lanes[i].
using Work = void (*)(void* const* lanes, int count);
void together(Site site, void* mine, Work work);

// Counted for each kernel, not checked.
void count_multiply_adds(int64_t count);

struct Grid {
  const char* kernel;
  int warp;
  int64_t x;
  int y, z;
  int threads;
  int shared_bytes;
};
// Queues a kernel; its arguments are copied. `body` is called by every thread.
fathom_status launch(gpu::Queue& queue, const Grid& grid, void (*body)(const void* arguments),
                     const void* arguments, size_t bytes);

}  // namespace fathom::emulated
