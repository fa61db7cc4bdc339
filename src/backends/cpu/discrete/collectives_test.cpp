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

// Rank r of three has r + 1 rows, and places 2 r and 2 r + 1. Rows go out and come back as they
// are, so a row becomes itself as often as there are ranks that it went to.
class RowExchange {
 public:
  static constexpr int kRanks = 3;
  static constexpr int64_t kMaxRows = 4, kWidth = 3, kTopK = 2, kPlaces = 2;

  // Places that each row chooses.
  RowExchange(const Rank& rank, const std::vector<int32_t>& places)
      : rank_(rank), rows_(rank.rank + 1), places_(places) {
    std::vector<float> x;
    for (int64_t row = 0; row < rows_; ++row) {
      for (int64_t i = 0; i < kWidth; ++i) x.push_back(value(rank.rank, row, i));
    }
    std::vector<int32_t> ids;
    for (int64_t row = 0; row < rows_; ++row) {
      ids.insert(ids.end(), places.begin(), places.end());
    }
    const std::vector<float> weights(ids.size(), 0.25f);
    x_ = put(x);
    ids_ = put(ids);
    weights_ = put(weights);
    count_ = put(std::vector<int32_t>{static_cast<int32_t>(rows_)});
    const size_t all = kRanks * kMaxRows;
    out_ = rank.device.alloc(all * kWidth * sizeof(float)).value();
    out_ids_ = rank.device.alloc(all * kTopK * sizeof(int32_t)).value();
    out_weights_ = rank.device.alloc(all * kTopK * sizeof(float)).value();
    counts_ = rank.device.alloc(kRanks * sizeof(int32_t)).value();
  }

  static float value(int rank, int64_t row, int64_t i) {
    return static_cast<float>(100 * rank + 10 * row + i);
  }

  Status run(fathom_comm* comm, fathom_op op, bool accumulate) {
    fathom_moe_exchange_args args = {};
    args.size = sizeof(args);
    args.comm = comm;
    args.experts_a_rank = kPlaces;
    args.top_k = kTopK;
    args.accumulate = accumulate ? 1 : 0;
    args.max_rows = kMaxRows;
    args.rows = static_cast<const int32_t*>(count_.data());
    args.x = device::matrix(x_.data(), FATHOM_F32, rows_, kWidth);
    args.expert_ids = static_cast<const int32_t*>(ids_.data());
    args.expert_weights = static_cast<const float*>(weights_.data());
    args.out = device::matrix(out_.data(), FATHOM_F32, kRanks * kMaxRows, kWidth);
    args.out_ids = static_cast<int32_t*>(out_ids_.data());
    args.out_weights = static_cast<float*>(out_weights_.data());
    args.counts = static_cast<int32_t*>(counts_.data());
    if (!rank_.device.supports(op, &args)) {
      return Error{ErrorCode::kUnsupported, "expected the operator"};
    }
    FATHOM_ASSIGN(const size_t bytes, rank_.device.workspace_bytes(op, &args));
    workspaces_.push_back(rank_.device.alloc(bytes).value());
    args.workspace = workspaces_.back().data();
    args.workspace_bytes = bytes;
    return rank_.device.run(op, &args);
  }

  // What the ranks that `places` are on must have got, and this one back.
  std::string check(fathom_comm* comm, bool accumulate) {
    const auto queue = [&](fathom_op op) { return rank_.trouble(run(comm, op, accumulate)); };
    if (auto wrong = queue(FATHOM_OP_MOE_DISPATCH); !wrong.empty()) return wrong;
    const auto is_here = [&](int32_t place, int rank) { return place / kPlaces == rank; };
    const bool comes = is_here(places_[0], rank_.rank) || is_here(places_[1], rank_.rank);
    std::vector<float> rows;
    std::vector<int32_t> ids, counts;
    for (int from = 0; from < kRanks; ++from) {
      counts.push_back(comes ? from + 1 : 0);
      for (int64_t row = 0; comes && row <= from; ++row) {
        for (int64_t i = 0; i < kWidth; ++i) rows.push_back(value(from, row, i));
        for (const int32_t place : places_) ids.push_back(is_here(place, rank_.rank) ? place : -1);
      }
    }
    ids.resize(kRanks * kMaxRows * kTopK, -1);
    if (rank_.values(out_, rows.size()) != rows) return "other rows came";
    if (get<int32_t>(out_ids_, ids.size()) != ids) return "rows came with other places";
    if (get<int32_t>(counts_, counts.size()) != counts) return "other numbers of rows came";
    if (auto wrong = queue(FATHOM_OP_MOE_COMBINE); !wrong.empty()) return wrong;
    const bool two = places_[0] / kPlaces != places_[1] / kPlaces;
    const float times = (two ? 2.0f : 1.0f) + (accumulate ? 1.0f : 0.0f);
    std::vector<float> sums;
    for (int64_t row = 0; row < rows_; ++row) {
      for (int64_t i = 0; i < kWidth; ++i) sums.push_back(times * value(rank_.rank, row, i));
    }
    return rank_.values(x_, sums.size()) == sums ? "" : "other sums came back";
  }

 private:
  template <typename T>
  device::Buffer put(const std::vector<T>& values) const {
    device::Buffer memory = rank_.device.alloc(values.size() * sizeof(T)).value();
    EXPECT_TRUE(
        rank_.device.copy_to_device(memory.data(), values.data(), values.size() * sizeof(T)).ok());
    EXPECT_TRUE(rank_.device.synchronize().ok());
    return memory;
  }
  template <typename T>
  std::vector<T> get(const device::Buffer& memory, size_t count) const {
    std::vector<T> values(count);
    EXPECT_TRUE(rank_.device.copy_to_host(values.data(), memory.data(), count * sizeof(T)).ok());
    EXPECT_TRUE(rank_.device.synchronize().ok());
    return values;
  }

  const Rank& rank_;
  const int64_t rows_;
  const std::vector<int32_t> places_;
  device::Buffer x_, ids_, weights_, count_, out_, out_ids_, out_weights_, counts_;
  std::vector<device::Buffer> workspaces_;
};

TEST(MoeExchange, RowsGoToEachRankOnceAndNoneIsLost) {
  const std::vector<std::vector<int32_t>> choices = {
      {3, 3},   // all rows of all ranks want one expert
      {2, 3},   // one rank
      {5, 0}};  // two of them
  for (const bool accumulate : {false, true}) {
    for (const auto& places : choices) {
      const auto body = [&](const Rank& rank) {
        return RowExchange(rank, places).check(rank.chips.handle(), accumulate);
      };
      EXPECT_EQ(run_threads(RowExchange::kRanks, body), std::vector<std::string>(3))
          << places[0] << " " << places[1];
    }
  }
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
