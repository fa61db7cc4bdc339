// Chips that compute together, their ranks as threads and as processes: what comm's own checks ask
// of every group, and what happens to a group that loses a rank.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/cpu/discrete/testing/group_of_chips.h"
#include "comm/testing/group_checks.h"

namespace fathom::cpu::discrete {
namespace {

using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr milliseconds kPatient(60000);

std::unique_ptr<device::Device> open_rank(const std::string& kernels = "reference,delay=20") {
  const fathom_backend& table = *fathom_cpu_discrete_backend_entry(FATHOM_ABI_VERSION);
  return device::Device::open(table, {.threads = 1, .kernels = kernels}).value();
}

// One rank of a group, and what it has.
struct Rank {
  device::Device& device;
  device::Communicator& chips;
  int rank;
  int size;

  // Device memory of `count` numbers.
  std::vector<float> values(const device::Buffer& memory, size_t count) const {
    std::vector<float> host(count);
    EXPECT_TRUE(device.copy_to_host(host.data(), memory.data(), count * sizeof(float)).ok());
    EXPECT_TRUE(device.synchronize().ok());
    return host;
  }
  device::Buffer memory(const std::vector<float>& values) const {
    device::Buffer memory = device.alloc(values.size() * sizeof(float)).value();
    EXPECT_TRUE(
        device.copy_to_device(memory.data(), values.data(), values.size() * sizeof(float)).ok());
    EXPECT_TRUE(device.synchronize().ok());
    return memory;
  }
  // What goes wrong when all that is queued has run.
  std::string trouble(const Status& queued) const {
    if (!queued) return queued.error().message;
    const Status done = device.synchronize();
    return done ? "" : done.error().message;
  }
};
using Body = std::function<std::string(const Rank&)>;

std::string run_rank(device::Device& device, const fathom_comm_id& id, int rank, int size,
                     const Body& body) {
  auto chips = device::Communicator::join(device, id, rank, size, kPatient);
  return chips ? body({device, *chips, rank, size}) : chips.error().message;
}

// What `body` returns on each of `size` ranks, which are threads. Rank 1 makes the id.
std::vector<std::string> run_threads(int size, const Body& body) {
  std::vector<std::unique_ptr<device::Device>> devices;
  for (int rank = 0; rank < size; ++rank) devices.push_back(open_rank());
  auto& maker = *devices[static_cast<size_t>(size > 1 ? 1 : 0)];
  const fathom_comm_id id = device::Communicator::make_id(maker).value();
  std::vector<std::string> results(static_cast<size_t>(size));
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      const auto at = static_cast<size_t>(rank);
      results[at] = run_rank(*devices[at], id, rank, size, body);
    });
  }
  threads.clear();
  return results;
}

std::string check_all(const Rank& rank) {
  GroupOfChips group(rank.device, rank.chips, rank.rank, rank.size);
  const std::string wrong = comm::check_operations(group, 1, 8, 0);
  return wrong.empty() ? comm::check_sums(group, 2, 100) : wrong;
}

class Collectives : public ::testing::TestWithParam<int> {};

TEST_P(Collectives, OfThreadsAreThoseOfEveryGroup) {
  EXPECT_EQ(run_threads(GetParam(), check_all),
            std::vector<std::string>(static_cast<size_t>(GetParam())));
}

// A rank of another process, which ends by itself or is killed.
class Process {
 public:
  // `body` gets the id, and its result goes to stderr where it is not empty.
  Process(int rank, int size, const Body& body) {
    EXPECT_EQ(pipe(pipe_), 0);
    pid_ = fork();
    if (pid_ != 0) return;
    fathom_comm_id id;
    if (read(pipe_[0], &id, sizeof(id)) != ssize_t{sizeof(id)}) _exit(2);
    const auto device = open_rank();
    const std::string wrong = run_rank(*device, id, rank, size, body);
    if (!wrong.empty()) std::fputs((wrong + "\n").c_str(), stderr);
    _exit(wrong.empty() ? 0 : 1);
  }
  ~Process() {
    for (const int end : pipe_) close(end);
  }

  void tell(const fathom_comm_id& id) const {
    ASSERT_EQ(write(pipe_[1], &id, sizeof(id)), ssize_t{sizeof(id)});
  }
  void kill() const { ::kill(pid_, SIGKILL); }
  // Its exit code; -1 where it was killed.
  int wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  int pipe_[2] = {};
  pid_t pid_ = 0;
};

TEST_P(Collectives, OfProcessesAreThoseOfEveryGroup) {
  const int size = GetParam();
  std::deque<Process> others;
  for (int rank = 1; rank < size; ++rank) others.emplace_back(rank, size, check_all);
  const auto device = open_rank();
  const fathom_comm_id id = device::Communicator::make_id(*device).value();
  for (const Process& other : others) other.tell(id);
  EXPECT_EQ(run_rank(*device, id, 0, size, check_all), "");
  for (const Process& other : others) EXPECT_EQ(other.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Ranks, Collectives, ::testing::Values(1, 2, 3, 4));

TEST(CollectivesInPlace, GiveTheSameAndRunInTheStreamsOrder) {
  const auto results = run_threads(3, [](const Rank& r) -> std::string {
    // Parts of 1, 0 and 2 numbers.
    const std::vector<int64_t> counts = {1, 0, 2};
    const std::vector<size_t> bytes = {4, 0, 8};
    const auto begin = static_cast<size_t>(r.rank == 2 ? 1 : r.rank);
    const auto memory = r.memory({1, 2, 4});
    const auto other = r.memory({0, 0, 0});
    auto* own = static_cast<float*>(memory.data()) + begin;
    for (int round = 0; round < 5; ++round) {  // each multiplies by the number of ranks
      EXPECT_TRUE(r.chips.reduce_scatter(FATHOM_F32, memory.data(), own, counts).ok());
      EXPECT_TRUE(r.chips.all_gather(own, memory.data(), bytes).ok());
    }
    EXPECT_TRUE(r.chips.all_reduce(FATHOM_F32, memory.data(), other.data(), 3).ok());
    EXPECT_EQ(r.values(memory, 3), (std::vector<float>{243, 486, 972}));
    EXPECT_EQ(r.values(other, 3), (std::vector<float>{729, 1458, 2916}));
    return "";
  });
  EXPECT_EQ(results, std::vector<std::string>(3));
}

TEST(CollectivesMemory, IsTheDevicesAlone) {
  const auto results = run_threads(2, [](const Rank& r) -> std::string {
    const auto memory = r.memory({1, 2});
    float host[2] = {};
    EXPECT_THAT(r.chips.all_reduce(FATHOM_F32, memory.data(), memory.data(), 3).error().message,
                HasSubstr("comm_all_reduce: expected what goes out of 12 bytes"));
    EXPECT_THAT(r.chips.all_reduce(FATHOM_F32, host, memory.data(), 2).error().message,
                HasSubstr("expected what goes out in device memory"));
    EXPECT_FALSE(r.chips.broadcast(0, host, 8).ok());
    EXPECT_FALSE(r.chips.broadcast(2, memory.data(), 8).ok());
    EXPECT_FALSE(r.chips.send(r.rank, memory.data(), 8).ok());
    EXPECT_FALSE(r.chips.all_reduce(FATHOM_F16, memory.data(), memory.data(), 2).ok());
    EXPECT_FALSE(r.chips.all_reduce(FATHOM_F32, memory.data(), memory.data(), -1).ok());
    // None of them counts.
    return r.trouble(r.chips.all_reduce(FATHOM_F32, memory.data(), memory.data(), 2));
  });
  EXPECT_EQ(results, std::vector<std::string>(2));
}

TEST(CollectivesThatDiffer, AreToldOfOnEveryRank) {
  const auto results = run_threads(2, [](const Rank& r) {
    const auto memory = r.memory({1, 2});
    return r.trouble(r.rank == 0 ? r.chips.broadcast(0, memory.data(), 8)
                                 : r.chips.all_reduce(FATHOM_F32, memory.data(), memory.data(), 2));
  });
  EXPECT_THAT(results[0], AnyOf(HasSubstr("it is in comm_all_reduce 0"), HasSubstr("given up")));
  EXPECT_THAT(results[1], AnyOf(HasSubstr("it is in comm_broadcast 0"), HasSubstr("given up")));

  const auto sizes = run_threads(2, [](const Rank& r) {
    const auto memory = r.memory({1, 2, 3});
    return r.trouble(
        r.chips.all_reduce(FATHOM_F32, memory.data(), memory.data(), r.rank == 0 ? 2 : 3));
  });
  EXPECT_THAT(sizes[0],
              AnyOf(HasSubstr("expected 8 bytes of rank 1, it sends 12"), HasSubstr("given up")));
}

TEST(CollectivesAborted, EndWhatWaitsOnEveryRank) {
  std::atomic<bool> ended = false;
  const auto results = run_threads(3, [&](const Rank& r) {
    const auto memory = r.memory({1, 2});
    const auto sum = [&] {
      return r.trouble(r.chips.all_reduce(FATHOM_F32, memory.data(), memory.data(), 2));
    };
    if (r.rank == 2) {  // does not come, until the others have ended
      while (!ended) std::this_thread::yield();
      return sum();
    }
    const std::jthread other([&] {
      if (r.rank == 0) r.chips.abort();
    });
    const std::string wrong = sum();
    ended = true;
    return wrong;
  });
  EXPECT_THAT(results[0], HasSubstr("comm_abort() was called on this rank"));
  // Whoever of the others has given up, too.
  EXPECT_THAT(results[1], HasSubstr("of the group has ended or given up, seen by its rank 1"));
  EXPECT_THAT(results[2], HasSubstr("of the group has ended or given up, seen by its rank 2"));
}

TEST(CollectivesOfALostRank, FailWithItsNumber) {
  for (int round = 0; round < 3; ++round) {
    const Process other(1, 2, [](const Rank& r) {
      const auto memory = r.memory({1});
      std::string wrong;  // until it is killed
      while (wrong.empty()) {
        wrong = r.trouble(r.chips.all_reduce(FATHOM_F32, memory.data(), memory.data(), 1));
      }
      return wrong;
    });
    const auto device = open_rank();
    const fathom_comm_id id = device::Communicator::make_id(*device).value();
    other.tell(id);
    const std::string wrong = run_rank(*device, id, 0, 2, [&](const Rank& r) {
      const auto memory = r.memory({1});
      for (int i = 0;; ++i) {
        if (i == 10 * round) other.kill();
        auto trouble = r.trouble(r.chips.all_reduce(FATHOM_F32, memory.data(), memory.data(), 1));
        if (!trouble.empty()) return trouble;
      }
    });
    EXPECT_THAT(wrong, HasSubstr("rank 1 of the group has ended or given up, seen by its rank 0"));
    EXPECT_EQ(other.wait(), -1);
  }
}

TEST(CollectivesCreation, NamesRanksThatDoNotCome) {
  const auto device = open_rank();
  const auto other = open_rank();
  const fathom_comm_id id = device::Communicator::make_id(*device).value();
  std::string without;
  {
    const std::jthread guest(
        [&] { without = device::Communicator::join(*other, id, 2, 4, kPatient).error().message; });
    EXPECT_THAT(device::Communicator::join(*device, id, 0, 4, milliseconds(50)).error().message,
                HasSubstr("expected 4 ranks by the deadline; not here: rank 1"));
  }
  EXPECT_THAT(without, AnyOf(HasSubstr("the rank that made the id has given up"),
                             HasSubstr("has ended, or is on another host")));
  EXPECT_THAT(device::Communicator::join(*other, id, 1, 2, kPatient).error().message,
              HasSubstr("the rank that made the id has ended, or is on another host"));
  EXPECT_FALSE(device::Communicator::join(*device, id, 2, 2, kPatient).ok());
  EXPECT_FALSE(device::Communicator::join(*device, id, 0, 33, kPatient).ok());
}

TEST(CollectivesSwitchedOff, AreNotThere) {
  const auto device = open_rank("reference,without=collectives");
  EXPECT_FALSE(device->collectives());
  EXPECT_FALSE(device::Communicator::make_id(*device).ok());
  EXPECT_TRUE(open_rank()->collectives());
}

}  // namespace
}  // namespace fathom::cpu::discrete
