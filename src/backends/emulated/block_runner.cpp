#include "backends/emulated/block_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "backends/emulated/faults.h"

namespace fathom::emulated {
namespace {

// Where the fibre that runs on this thread of the host keeps what it is.
thread_local void* current_thread = nullptr;

std::string_view file_name(const Site& site) {
  const std::string_view path = site.file;
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

BlockRunner::BlockRunner()
    : threads_(kMostThreads), warps_(kMostThreads / 32), stacks_(kMostThreads) {}

std::string BlockRunner::run(const Launch& launch, int64_t block) {
  begin(launch, block);
  Thread& first = *warps_[static_cast<size_t>(launch.order.of(
                              static_cast<int>(launch.grid.threads / launch.grid.warp), 1)[0])]
                       .first;
  home_.runner = this;
  current_thread = &home_;
  switch_to(first);
  return std::exchange(report_, {});
}

void BlockRunner::begin(const Launch& launch, int64_t block) {
  const Grid& grid = launch.grid;
  launch_ = &launch;
  block_ = block;
  range_ = {};
  arrived_ = 0;
  live_ = grid.threads;
  shared_.begin_block(grid.shared_bytes, grid.warp, launch.checks_races);
  for (int i = 0; i < grid.threads; ++i) {
    Thread& thread = threads_[static_cast<size_t>(i)];
    thread.context = make_context(stacks_.top(i), enter);
    thread.place = {i,
                    grid.threads,
                    i % grid.warp,
                    i / grid.warp,
                    block % grid.x,
                    grid.x,
                    static_cast<int>(block / grid.x % grid.y),
                    static_cast<int>(block / grid.x / grid.y),
                    grid.y,
                    grid.z};
    thread.runner = this;
    thread.warp = &warps_[static_cast<size_t>(i / grid.warp)];
    thread.state = State::kReady;
    thread.copies.clear();
    thread.group = 0;
  }
  link(launch);
}

void BlockRunner::link(const Launch& launch) {
  const int width = launch.grid.warp;
  const int warps = launch.grid.threads / width;
  const std::vector<int> lanes = launch.order.of(width, 0);
  const std::vector<int> order = launch.order.of(warps, 1);
  for (int w = 0; w < warps; ++w) {
    Warp& warp = warps_[static_cast<size_t>(order[static_cast<size_t>(w)])];
    Thread* begin = &threads_[static_cast<size_t>(order[static_cast<size_t>(w)] * width)];
    for (int i = 0; i < width; ++i) {
      begin[lanes[static_cast<size_t>(i)]].next =
          begin + lanes[static_cast<size_t>((i + 1) % width)];
    }
    warp.first = begin + lanes[0];
    warp.next = &warps_[static_cast<size_t>(order[static_cast<size_t>((w + 1) % warps)])];
    warp.size = warp.ready = width;
    warp.arrived = 0;
  }
}

void BlockRunner::enter(Transfer from) {
  static_cast<Thread*>(from.data)->context = from.fctx;
  Thread& me = *static_cast<Thread*>(current_thread);
  me.runner->launch_->body(me.runner->launch_->arguments);
  me.runner->finish(me);
}

void BlockRunner::finish(Thread& me) {
  if (!me.copies.empty()) fail(me, "ends while copies of its own are on their way", {"", 0});
  me.state = State::kEnded;
  --me.warp->ready;
  if (--live_ == 0) switch_to(home_);
  Thread* next = next_ready(me);
  if (next == nullptr) fail_stuck();
  switch_to(*next);
  __builtin_unreachable();
}

void BlockRunner::switch_to(Thread& to) {
  void* from = std::exchange(current_thread, &to);
  const Transfer back = jump(to.context, from);
  static_cast<Thread*>(back.data)->context = back.fctx;
}

BlockRunner::Thread* BlockRunner::next_ready(Thread& me) {
  Warp* warp = me.warp;
  Thread* thread = me.next;
  const int warps = launch_->grid.threads / launch_->grid.warp;
  for (int i = 0; i <= warps; ++i) {
    for (int lane = 0; lane < warp->size && warp->ready > 0; ++lane) {
      if (thread->state == State::kReady) return thread;
      thread = thread->next;
    }
    warp = warp->next;
    thread = warp->first;
  }
  return nullptr;
}

void BlockRunner::wait(Thread& me, Site site) {
  me.state = State::kWaits;
  me.site = site;
  --me.warp->ready;
  Thread* next = next_ready(me);
  if (next == nullptr) fail_stuck();
  switch_to(*next);
}

void BlockRunner::wake(Warp& warp) {
  Thread* thread = warp.first;
  for (int lane = 0; lane < warp.size; ++lane) {
    thread->state = State::kReady;
    thread = thread->next;
  }
  warp.ready = warp.size;
}

std::string BlockRunner::place_text(const Thread& thread) const {
  const Place& place = thread.place;
  return fmt::format("kernel {}, block ({}, {}, {}), thread {}", launch_->grid.kernel,
                     place.block_x, place.block_y, place.block_z, place.thread);
}

void BlockRunner::fail(const Thread& me, const std::string& what, Site site) {
  report_ = fmt::format("{}: {}", place_text(me), what);
  if (site.line != 0) report_ += fmt::format(" at {}:{}", file_name(site), site.line);
  switch_to(home_);
  __builtin_unreachable();
}

// Those that wait, of each place one and how many others.
void BlockRunner::fail_stuck() {
  std::vector<std::pair<const Thread*, int>> waiting;
  int ended = 0;
  for (int i = 0; i < launch_->grid.threads; ++i) {
    const Thread& thread = threads_[static_cast<size_t>(i)];
    if (thread.state == State::kEnded) ++ended;
    if (thread.state != State::kWaits) continue;
    const auto same = std::find_if(waiting.begin(), waiting.end(), [&](const auto& other) {
      return other.first->site == thread.site;
    });
    if (same == waiting.end()) {
      waiting.emplace_back(&thread, 0);
    } else {
      ++same->second;
    }
  }
  std::string text = "threads wait for each other";
  for (const auto& [thread, others] : waiting) {
    text += fmt::format("; thread {} and {} others at {}:{}", thread->place.thread, others,
                        file_name(thread->site), thread->site.line);
  }
  if (ended > 0) text += fmt::format("; {} have ended", ended);
  fail(*waiting.front().first, text, {"", 0});
}

// ------------------------------------------------------------------ what words do

// The words of runtime.h, of the thread that runs.
struct Words {
  using Thread = BlockRunner::Thread;
  using Warp = BlockRunner::Warp;

  static Thread& me() { return *static_cast<Thread*>(current_thread); }

  static void* global(const void* address, int bytes, const char* what, Site site) {
    BlockRunner& runner = *me().runner;
    const auto at = reinterpret_cast<uintptr_t>(address);
    if (!runner.range_.has(at, static_cast<size_t>(bytes))) {
      runner.range_ = runner.launch_->memory->around(address);
      if (!runner.range_.has(at, static_cast<size_t>(bytes)) || runner.range_.end == 0) {
        runner.fail(
            me(),
            fmt::format("{} {} bytes at {}, where no memory is allocated", what, bytes, address),
            site);
      }
    }
    if (at % static_cast<uintptr_t>(bytes) != 0) {
      runner.fail(
          me(), fmt::format("{} {} bytes at {}, expected an aligned address", what, bytes, address),
          site);
    }
    return runner.launch_->memory->behind(address);
  }

  static std::byte* shared(int byte, int bytes, const char* what, Site site) {
    BlockRunner& runner = *me().runner;
    if (byte < 0 || byte + bytes > runner.shared_.bytes() || byte % bytes != 0) {
      runner.fail(me(),
                  fmt::format("{} {} bytes at byte {} of shared memory, expected an aligned "
                              "place in its {}",
                              what, bytes, byte, runner.shared_.bytes()),
                  site);
    }
    return runner.shared_.at(byte);
  }

  static const void* read_shared(int byte, int bytes, Site site) {
    const std::byte* at = shared(byte, bytes, "loads", site);
    const auto other = me().runner->shared_.note_read(me().place.thread, byte, bytes);
    if (other) race("loads", byte, *other, site);
    return at;
  }

  static void* write_shared(int byte, int bytes, Site site) {
    std::byte* at = shared(byte, bytes, "stores", site);
    const auto other = me().runner->shared_.note_write(me().place.thread, byte, bytes);
    if (other) race("stores", byte, *other, site);
    return at;
  }

  [[noreturn]] static void race(const char* what, int byte, int other, Site site) {
    me().runner->fail(me(),
                      fmt::format("{} byte {} of shared memory beside thread {}, with no "
                                  "barrier between",
                                  what, byte, other),
                      site);
  }

  static void copy_async(int to, const void* from, int bytes, Site site) {
    Thread& thread = me();
    if (from != nullptr) global(from, bytes, "copies", site);
    std::memset(write_shared(to, bytes, site), 0xff, static_cast<size_t>(bytes));
    thread.copies.push_back({to, bytes, from, thread.group});
  }

  static void copy_wait(int groups_left, Site site) {
    if (is_dropped(site)) return;
    Thread& thread = me();
    const int done = thread.group - groups_left;
    size_t kept = 0;
    for (const auto& copy : thread.copies) {
      if (copy.group >= done) {
        thread.copies[kept++] = copy;
        continue;
      }
      void* to = write_shared(copy.to, copy.bytes, site);
      const auto bytes = static_cast<size_t>(copy.bytes);
      if (copy.from == nullptr) {
        std::memset(to, 0, bytes);
      } else {
        std::memcpy(to, global(copy.from, copy.bytes, "copies", site), bytes);
      }
    }
    thread.copies.resize(kept);
  }

  static void block_barrier(Site site) {
    if (is_dropped(site)) return;
    Thread& thread = me();
    BlockRunner& runner = *thread.runner;
    if (runner.arrived_ == 0) runner.site_ = site;
    if (runner.site_ != site) elsewhere(runner.site_, site);
    if (++runner.arrived_ < runner.launch_->grid.threads) return runner.wait(thread, site);
    runner.arrived_ = 0;
    runner.shared_.block_barrier();
    note_barrier(site);
    const int warps = thread.place.threads / runner.launch_->grid.warp;
    for (int w = 0; w < warps; ++w) runner.wake(runner.warps_[static_cast<size_t>(w)]);
  }

  // Whether this lane is the last one of its warp to come; the others wait here.
  static bool is_last(void* mine, Site site) {
    Thread& thread = me();
    Warp& warp = *thread.warp;
    if (warp.arrived == 0) warp.site = site;
    if (warp.site != site) elsewhere(warp.site, site);
    warp.lanes[thread.place.lane] = mine;
    if (++warp.arrived == warp.size) return true;
    thread.runner->wait(thread, site);
    return false;
  }

  static void warp_barrier(Site site) {
    if (is_dropped(site) || !is_last(nullptr, site)) return;
    Thread& thread = me();
    thread.warp->arrived = 0;
    thread.runner->shared_.warp_barrier(thread.place.warp);
    note_barrier(site);
    thread.runner->wake(*thread.warp);
  }

  static void together(Site site, void* mine, Work work) {
    if (!is_last(mine, site)) return;
    Thread& thread = me();
    thread.warp->arrived = 0;
    work(thread.warp->lanes, thread.warp->size);
    thread.runner->wake(*thread.warp);
  }

  [[noreturn]] static void elsewhere(Site others, Site site) {
    me().runner->fail(me(),
                      fmt::format("comes to another place than others, who wait at {}:{},",
                                  file_name(others), others.line),
                      site);
  }

  static void count_multiply_adds(int64_t count) { me().runner->multiply_adds_ += count; }
};

const Place& place() {
  return Words::me().place;
}

const void* read_global(const void* address, int bytes, Site site) {
  return Words::global(address, bytes, "loads", site);
}

void* write_global(void* address, int bytes, Site site) {
  return Words::global(address, bytes, "stores", site);
}

void atomic_add_global(void* address, int bytes, int64_t value, Site site) {
  void* at = Words::global(address, bytes, "adds", site);
  if (bytes == sizeof(int64_t)) {
    __atomic_fetch_add(static_cast<int64_t*>(at), value, __ATOMIC_RELAXED);
  } else {
    __atomic_fetch_add(static_cast<int32_t*>(at), static_cast<int32_t>(value), __ATOMIC_RELAXED);
  }
}

const void* read_shared(int byte, int bytes, Site site) {
  return Words::read_shared(byte, bytes, site);
}

void* write_shared(int byte, int bytes, Site site) {
  return Words::write_shared(byte, bytes, site);
}

void copy_async(int to_byte, const void* from, int bytes, Site site) {
  Words::copy_async(to_byte, from, bytes, site);
}

void copy_commit() {
  ++Words::me().group;
}

void copy_wait(int groups_left, Site site) {
  Words::copy_wait(groups_left, site);
}

void block_barrier(Site site) {
  Words::block_barrier(site);
}

void warp_barrier(Site site) {
  Words::warp_barrier(site);
}

void together(Site site, void* mine, Work work) {
  Words::together(site, mine, work);
}

void count_multiply_adds(int64_t count) {
  Words::count_multiply_adds(count);
}

}  // namespace fathom::emulated
