// Plans for machines that hwloc makes up, and pinning on this one.
#include "backends/cpu/host/placement.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <numeric>
#include <set>
#include <thread>

#include "backends/cpu/host/host_topology.h"
#include "backends/cpu/host/thread_pool.h"

namespace fathom::cpu {
namespace {

// Two sockets of 16 cores with two hardware threads each; a core's are 2 i and 2 i + 1.
constexpr const char* kTwoSockets = "Package:2 [NUMANode(memory=1GB)] Core:16 PU:2";
// Two sockets of four nodes of eight cores.
constexpr const char* kEightNodes = "Package:2 Group:4 [NUMANode(memory=1GB)] Core:8 PU:1";

std::vector<int> iota(int count, int first, int step) {
  std::vector<int> numbers(static_cast<size_t>(count));
  for (int& number : numbers) number = std::exchange(first, first + step);
  return numbers;
}

TEST(Placement, TakesEachCoreBeforeItsSecondThread) {
  const HostTopology host = read_topology(kTwoSockets);
  ASSERT_EQ(host.cores.size(), 32u);
  EXPECT_EQ(host.nodes, 2);
  EXPECT_FALSE(host.bound);
  const Placement cores = place_threads(host, 32, {});
  EXPECT_EQ(cores.processors, iota(32, 0, 2));
  EXPECT_EQ(cores.nodes, (std::vector<int>{0, 1}));
  EXPECT_EQ(cores.text(), " on 32 cores of 2 nodes");
  const Placement all = place_threads(host, 64, {});
  EXPECT_EQ(std::vector<int>(all.processors.begin(), all.processors.begin() + 32), iota(32, 0, 2));
  EXPECT_EQ(std::vector<int>(all.processors.begin() + 32, all.processors.end()), iota(32, 1, 2));
}

TEST(Placement, ProcessesOfOneHostTakeNeighbouringCoresEach) {
  const HostTopology host = read_topology(kEightNodes);
  ASSERT_EQ(host.cores.size(), 64u);
  EXPECT_EQ(host.nodes, 8);
  std::set<int> taken;
  for (int rank = 0; rank < 8; ++rank) {
    const Placement own = place_threads(host, 8, {rank, 8});
    EXPECT_EQ(own.processors, iota(8, 8 * rank, 1));
    EXPECT_EQ(own.nodes, std::vector<int>{rank});
    taken.insert(own.processors.begin(), own.processors.end());
  }
  EXPECT_EQ(taken.size(), 64u);
  // Numbers that do not divide: every core has one process.
  taken.clear();
  for (int rank = 0; rank < 3; ++rank) {
    const int cores = rank == 2 ? 22 : 21;
    const Placement own = place_threads(host, cores, {rank, 3});
    ASSERT_EQ(own.processors.size(), static_cast<size_t>(cores));
    taken.insert(own.processors.begin(), own.processors.end());
  }
  EXPECT_EQ(taken.size(), 64u);
  EXPECT_EQ(place_threads(host, 21, {0, 3}).nodes, (std::vector<int>{0, 1, 2}));
}

TEST(Placement, LeavesThreadsAloneWhereTwoCouldMeet) {
  HostTopology host = read_topology(kTwoSockets);
  EXPECT_TRUE(place_threads(host, 31, {}).processors.empty());
  EXPECT_TRUE(place_threads(host, 65, {}).processors.empty());
  EXPECT_TRUE(place_threads(host, 16, {-1, 2}).processors.empty());
  EXPECT_TRUE(place_threads(host, 1, {0, 100}).processors.empty());  // fewer cores than processes
  EXPECT_EQ(place_threads(host, 1, {99, 100}).processors, std::vector<int>{62});
  EXPECT_TRUE(place_threads({}, 4, {}).processors.empty());
  EXPECT_EQ(place_threads({}, 4, {}).text(), "");
  host.bound = true;  // by a launcher that knows its ranks
  EXPECT_TRUE(place_threads(host, 16, {0, 2}).processors.empty());
  EXPECT_FALSE(place_threads(host, 32, {0, 1}).processors.empty());
}

TEST(Placement, ADescriptionThatHwlocRefusesHasNoCores) {
  EXPECT_TRUE(read_topology("Package:two").cores.empty());
}

TEST(HostTopology, IsWhatThisThreadMayUse) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  std::set<int> processors;
  for (const Core& core : read_topology().cores) {
    processors.insert(core.processors.begin(), core.processors.end());
  }
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    EXPECT_EQ(processors.contains(i), CPU_ISSET(static_cast<size_t>(i), &before) != 0) << i;
  }
  const int one = *processors.rbegin();
  std::thread([&] {
    pin_this_thread(one);
    const HostTopology rest = read_topology();
    ASSERT_EQ(rest.cores.size(), 1u);
    EXPECT_EQ(rest.cores[0].processors, std::vector<int>{one});
    EXPECT_EQ(rest.bound, processors.size() > 1);
  }).join();
}

TEST(ThreadPool, WorkersStayWhereTheyArePinned) {
  const HostTopology host = read_topology();
  std::vector<int> processors;
  for (const Core& core : host.cores) processors.push_back(core.processors.front());
  if (processors.size() < 2) processors.push_back(processors.front());
  const int threads = static_cast<int>(processors.size());
  ThreadPool pool(threads, processors);
  for (int round = 0; round < 50; ++round) {
    parallel_for(pool, threads * 4, [&](int64_t, int thread) {
      if (thread == 0) return;
      EXPECT_EQ(sched_getcpu(), processors[static_cast<size_t>(thread)]);
    });
  }
  cpu_set_t own;
  ASSERT_EQ(sched_getaffinity(0, sizeof(own), &own), 0);
  EXPECT_EQ(
      static_cast<size_t>(CPU_COUNT(&own)),
      std::accumulate(host.cores.begin(), host.cores.end(), size_t{0},
                      [](size_t sum, const Core& core) { return sum + core.processors.size(); }));
}

TEST(InterleaveMemory, KeepsWhatIsWritten) {
  const HostTopology host = read_topology();
  constexpr size_t kBytes = 4 << 20;
  auto* memory = static_cast<char*>(std::aligned_alloc(4096, kBytes));
  interleave_memory(memory, kBytes, {host.cores.front().node});
  std::fill_n(memory, kBytes, 'x');
  EXPECT_EQ(memory[kBytes - 1], 'x');
  std::free(memory);
}

}  // namespace
}  // namespace fathom::cpu
