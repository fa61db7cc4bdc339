#include "comm/local_ranks.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace fathom::comm {
namespace {

const Launch kLaunch = {.rank = 0,
                        .size = 3,
                        .local_size = 2,
                        .job = "PMIX_NAMESPACE=test-" + std::to_string(getpid()),
                        .rank_variable = "OMPI_COMM_WORLD_RANK"};

// What a rank of the tests below does.
TEST(LocalRanksProcess, DISABLED_Waits) {
  pause();
}

class LocalRanksTest : public testing::Test {
 protected:
  ~LocalRanksTest() override { end_all(); }

  void end_all() {
    for (const pid_t pid : children_) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    children_.clear();
  }

  pid_t start(const std::string& job, const std::string& rank) {
    std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    std::string filter = "--gtest_filter=LocalRanksProcess.*";
    std::string disabled = "--gtest_also_run_disabled_tests";
    std::string variable = "OMPI_COMM_WORLD_RANK=" + rank;
    std::string job_copy = job;
    char* arguments[] = {program.data(), filter.data(), disabled.data(), nullptr};
    char* environment[] = {job_copy.data(), variable.data(), nullptr};
    pid_t pid = 0;
    EXPECT_EQ(posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environment), 0);
    children_.push_back(pid);
    return pid;
  }

  void wait_for(const LocalRanks& ranks, int rank, ProcessState state) {
    while (ranks.state(rank) != state) std::this_thread::yield();
  }

 private:
  std::vector<pid_t> children_;
};

TEST_F(LocalRanksTest, FindsTheRanksOfItsJobOnly) {
  start("PMIX_NAMESPACE=another", "1");
  start(kLaunch.job, "0");  // this rank's own number
  start(kLaunch.job, "3");  // beyond the job's size
  start(kLaunch.job, "x");
  LocalRanks ranks(kLaunch);
  ranks.search();
  EXPECT_TRUE(ranks.found().empty());
  const pid_t pid = start(kLaunch.job, "2");
  while (ranks.found().empty()) ranks.search();
  EXPECT_EQ(ranks.found(), (std::map<int, pid_t>{{2, pid}}));
}

TEST_F(LocalRanksTest, SeesRanksStopAndEnd) {
  const pid_t pid = start(kLaunch.job, "1");
  LocalRanks ranks(kLaunch);
  while (ranks.found().empty()) ranks.search();
  EXPECT_EQ(ranks.state(1), ProcessState::kRunning);
  kill(pid, SIGSTOP);
  wait_for(ranks, 1, ProcessState::kStopped);
  kill(pid, SIGCONT);
  wait_for(ranks, 1, ProcessState::kRunning);
  kill(pid, SIGKILL);
  for (const int descriptor : ranks.end_descriptors()) {
    pollfd event = {descriptor, POLLIN, 0};
    EXPECT_EQ(poll(&event, 1, -1), 1);
  }
  EXPECT_EQ(ranks.state(1), ProcessState::kEnded);
}

TEST_F(LocalRanksTest, IsNotMisledByProcessesThatEnd) {
  LocalRanks ranks(kLaunch);
  std::atomic<bool> done = false;
  std::jthread churn([&] {
    for (int i = 0; i < 100; ++i) {
      start(kLaunch.job, "9");
      end_all();
    }
    done = true;
  });
  while (!done) ranks.search();
  EXPECT_TRUE(ranks.found().empty());
}

}  // namespace
}  // namespace fathom::comm
