// One rank of a job that tests comm over MPI, started by mpirun. What it does is its first
// argument:
//   operations       every check of group_checks.h, then an orderly end
//   sums             prints a hash of sums, to be compared between runs
//   mismatch         the last rank takes another operation than the rest
//   roster           the last rank says that it has another model
//   run              steps until something happens; rank 0 prints "step N"
//   stuck            the same, but in step 20 the last rank begins to compute for ever
//   latency          prints the time of a small all_reduce and of an exchange of 1 MiB
// Options: --lost-after MS --start-deadline MS --deadline MS --compute MS (of a step).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "comm/testing/group_checks.h"
#include "comm/world.h"

namespace fathom::comm {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string mode;
  std::map<std::string, int> options = {
      {"--lost-after", 5000}, {"--start-deadline", 30000}, {"--deadline", 60000}, {"--compute", 1}};

  Milliseconds time(const std::string& name) const { return Milliseconds(options.at(name)); }
};

void say(const std::string& text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

int fail(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
  return 1;
}

int operations(World& world) {
  Group& group = world.group();
  for (const std::string& wrong : {check_operations(group, 1, 30, 0), check_sums(group, 2, 100),
                                   group.size() > 1 ? check_split(group, 3, 101) : std::string()}) {
    if (!wrong.empty()) return fail(wrong);
  }
  const Status left = world.leave();
  if (!left) return fail(left.error().message);
  if (group.rank() == 0) say("all right");
  return 0;
}

// FNV-1a over the bits of long and short sums of numbers that differ by rank.
int sums(World& world) {
  Group& group = world.group();
  uint64_t hash = 0xcbf29ce484222325;
  for (const int64_t count : {5, 3000, 100000}) {
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = 1.0F / static_cast<float>(i % 977 + 1 + static_cast<size_t>(group.rank()) * 31);
    }
    const Status status = group.all_reduce({count, "sum", {}}, FATHOM_F32, values.data(), count);
    if (!status) return fail(status.error().message);
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (size_t i = 0; i < values.size() * sizeof(float); ++i) {
      hash = (hash ^ bytes[i]) * 0x100000001b3;
    }
  }
  say(fmt::format("hash {:016x}", hash));
  const Status left = world.leave();
  return left ? 0 : fail(left.error().message);
}

int mismatch(World& world) {
  Group& group = world.group();
  float value = 1;
  const bool odd = group.rank() == group.size() - 1;
  const Status status = odd ? group.broadcast({6, "plan", {}}, 0, &value, sizeof(value))
                            : group.all_reduce({5, "experts_out", {}}, FATHOM_F32, &value, 1);
  return status ? 0 : kExitRankLost;  // the watch has said why
}

// A step as an engine's: the plan, some arithmetic, a sum.
int run(World& world, Milliseconds compute, bool gets_stuck) {
  Group& group = world.group();
  const bool last = group.rank() == group.size() - 1;
  std::vector<float> values(1000);
  for (int64_t step = 0;; ++step) {
    int64_t plan = step;
    Status status = group.broadcast({step, "plan", {}}, 0, &plan, sizeof(plan));
    if (status) {
      std::this_thread::sleep_for(compute);
      while (gets_stuck && last && step == 20) std::this_thread::sleep_for(compute);
      status = group.all_reduce({step, "experts_out", {}}, FATHOM_F32, values.data(), 1000);
    }
    if (!status) return kExitRankLost;  // the watch has said why
    if (group.rank() == 0 && step % 10 == 0) say(fmt::format("step {}", step));
  }
}

int latency(World& world) {
  Group& group = world.group();
  const auto measure = [&](const char* what, int64_t count, int rounds) {
    std::vector<float> values(static_cast<size_t>(count), 1.0F);
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
      const auto begin = Clock::now();
      if (!group.all_reduce({round, what, {}}, FATHOM_F32, values.data(), count)) return;
      times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
    std::ranges::sort(times);
    if (group.rank() != 0) return;
    say(fmt::format("{}: median {:.2f} us, 99 of 100 below {:.2f} us", what,
                    times[times.size() / 2], times[times.size() * 99 / 100]));
  };
  measure("all_reduce of 4 bytes", 1, 20000);
  measure("all_reduce of 28 KiB (hidden size 7168)", 7168, 5000);
  measure("all_reduce of 1 MiB", 1 << 18, 500);
  const Status left = world.leave();
  return left ? 0 : fail(left.error().message);
}

int test(const Arguments& arguments) {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  const bool last = rank != nullptr && std::atoi(rank) + 1 == std::atoi(size);
  Identity identity = {"cpu", "0.1.0", "abc", "def"};
  if (arguments.mode == "roster" && last) identity.model_hash = "other";
  auto world = World::join(identity, {.start_deadline = arguments.time("--start-deadline"),
                                      .lost_after = arguments.time("--lost-after"),
                                      .operation_deadline = arguments.time("--deadline"),
                                      .on_lost = {}});
  if (!world) return fail(world.error().message);
  if (arguments.mode == "operations") return operations(**world);
  if (arguments.mode == "sums") return sums(**world);
  if (arguments.mode == "mismatch") return mismatch(**world);
  if (arguments.mode == "latency") return latency(**world);
  return run(**world, arguments.time("--compute"), arguments.mode == "stuck");
}

}  // namespace
}  // namespace fathom::comm

int main(int argc, char** argv) {
  fathom::comm::Arguments arguments;
  if (argc > 1) arguments.mode = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) arguments.options.at(argv[i]) = std::atoi(argv[i + 1]);
  return fathom::comm::test(arguments);
}
