#include "cli/commands/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>

#include "base/log.h"
#include "cli/commands/roofline.h"
#include "serving/rank_job.h"

namespace fathom::cli {
namespace {

using Clock = std::chrono::steady_clock;

// The cost of communication for rank 0 in a run.
struct Shared {
  double time = 0;        // share of the run in which it talked to others or waited for them
  double sent_bytes = 0;  // a token
};

struct Measurement {
  std::string test;  // "prefill" or "decode"
  int64_t tokens = 0;
  int64_t depth = 0;
  int64_t batch = 0;
  double tokens_per_second = 0;  // of all sequences together
  Bound bound = {};              // what the machine's limits allow
  Shared shared = {};            // where there are several ranks

  double share() const { return tokens_per_second / bound.tokens_per_second; }
};

// When the first and the last token of a group of requests came.
struct Timing {
  double to_first = 0;     // s from submit until every sequence had its first token
  double after_first = 0;  // s from then to the last token of all
  Shared shared = {};

  double all() const { return to_first + after_first; }
};

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::vector<engine::TokenId> random_prompt(const engine::Engine& engine, int64_t length,
                                           uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<engine::TokenId> token(
      0, static_cast<engine::TokenId>(engine.vocab_size() - 1));
  std::vector<engine::TokenId> prompt(static_cast<size_t>(length));
  for (auto& id : prompt) id = token(random);
  return prompt;
}

// Waits for a group of requests and notes when their tokens came.
class Group {
 public:
  explicit Group(int64_t size) : waiting_for_first_(size), running_(size) {}

  engine::Listener listener() {
    return [this, seen = false](const engine::Event& event) mutable {
      const std::lock_guard lock(mutex_);
      if (event.token && !seen) {
        seen = true;
        if (--waiting_for_first_ == 0) all_started_ = Clock::now();
      }
      if (!event.finish) return;
      if (event.error) error_ = event.error;
      if (--running_ == 0) {
        all_done_ = Clock::now();
        done_.notify_all();
      }
    };
  }

  Result<Timing> wait(Clock::time_point begin) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    if (error_) return *error_;
    return Timing{seconds(all_started_ - begin), seconds(all_done_ - all_started_), {}};
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  int64_t waiting_for_first_;
  int64_t running_;
  Clock::time_point all_started_;
  Clock::time_point all_done_;
  std::optional<Error> error_;
};

// `batch` requests at once.
Result<Timing> run_group(const serving::Stack& stack, int64_t prompt, int64_t generate,
                         int64_t batch, uint64_t seed) {
  engine::Engine& engine = *stack.engine;
  const comm::Usage& usage = stack.membership.world().usage();
  const int64_t sent_before = usage.sent_bytes;
  const int64_t spent_before = usage.nanoseconds;
  Group group(batch);
  const auto begin = Clock::now();
  for (int64_t i = 0; i < batch; ++i) {
    engine::Request request;
    request.prompt = random_prompt(engine, prompt, seed + static_cast<uint64_t>(i));
    request.sampling.temperature = 0;
    request.sampling.ignore_eos = true;
    request.sampling.max_tokens = generate;
    engine.submit(std::move(request), group.listener());
  }
  FATHOM_ASSIGN(Timing timing, group.wait(begin));
  const auto tokens = static_cast<double>(batch * (prompt + generate - 1));
  timing.shared.time = static_cast<double>(usage.nanoseconds - spent_before) * 1e-9 / timing.all();
  timing.shared.sent_bytes = static_cast<double>(usage.sent_bytes - sent_before) / tokens;
  return timing;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Reading `tokens` prompt tokens behind `depth` others: what they add to the time to first token.
Result<Measurement> measure_prefill(const serving::Stack& stack, const Roofline& roofline,
                                    int64_t tokens, int64_t depth, int64_t batch, int repeat) {
  std::vector<double> rates;
  Shared shared;  // of the last run
  for (int i = 0; i < repeat; ++i) {
    const auto seed = static_cast<uint64_t>(i + 1) << 32;
    double before = 0;
    if (depth > 0) {
      FATHOM_ASSIGN(const Timing timing, run_group(stack, depth, 1, batch, seed));
      before = timing.to_first;
    }
    FATHOM_ASSIGN(const Timing timing, run_group(stack, depth + tokens, 1, batch, seed));
    shared = timing.shared;
    const double spent = std::max(timing.to_first - before, 1e-9);
    rates.push_back(static_cast<double>(tokens * batch) / spent);
  }
  return Measurement{"prefill", tokens,        depth,
                     batch,     median(rates), roofline.prefill(tokens, depth, batch),
                     shared};
}

Result<Measurement> measure_decode(const serving::Stack& stack, const Roofline& roofline,
                                   int64_t tokens, int64_t depth, int64_t batch, int repeat) {
  std::vector<double> rates;
  Shared shared;  // of the last run
  for (int i = 0; i < repeat; ++i) {
    const auto seed = static_cast<uint64_t>(i + 1) << 32;
    FATHOM_ASSIGN(const Timing timing,
                  run_group(stack, std::max<int64_t>(depth, 1), tokens + 1, batch, seed));
    shared = timing.shared;
    rates.push_back(static_cast<double>(tokens * batch) / std::max(timing.after_first, 1e-9));
  }
  return Measurement{
      "decode", tokens, depth, batch, median(rates), roofline.decode(tokens, depth, batch), shared};
}

void print_row(const Measurement& m) {
  const std::string share =
      std::isfinite(m.share()) ? fmt::format("{:.0f}% of {}", 100 * m.share(), m.bound.name) : "-";
  fmt::print("{:<8} {:>7} {:>7} {:>6} {:>12.1f} {:>14.1f} {:>16}\n", m.test, m.tokens, m.depth,
             m.batch, m.tokens_per_second, m.tokens_per_second / static_cast<double>(m.batch),
             share);
  if (m.shared.sent_bytes > 0) {
    fmt::print("{:>8} {:.0f}% of the time with other ranks, {:.0f} bytes sent a token\n", "",
               100 * m.shared.time, m.shared.sent_bytes);
  }
  std::fflush(stdout);
}

Result<std::vector<Measurement>> run_all(const serving::Stack& stack, const Roofline& roofline,
                                         const BenchOptions& options) {
  std::vector<Measurement> all;
  const auto add = [&](Result<Measurement> measured) -> Status {
    if (!measured) return measured.error();
    all.push_back(*measured);
    if (!options.json) print_row(*measured);
    return {};
  };
  for (const int64_t batch : options.batch) {
    for (const int64_t depth : options.depth) {
      for (const int64_t tokens : options.prompt) {
        FATHOM_TRY(add(measure_prefill(stack, roofline, tokens, depth, batch, options.repeat)));
      }
      for (const int64_t tokens : options.decode) {
        FATHOM_TRY(add(measure_decode(stack, roofline, tokens, depth, batch, options.repeat)));
      }
    }
  }
  return all;
}

// A number, or null for what is not known.
nlohmann::json known(double value) {
  return value > 0 && std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

// With several ranks, none of them has all weights.
const char* weights_of(const serving::Stack& stack) {
  return stack.cost ? device::dtype_name(stack.cost->main_dtype()) : "parts";
}

nlohmann::json to_json(const serving::Stack& stack, const fathom_limits& limits,
                       const std::vector<Measurement>& measured) {
  auto results = nlohmann::json::array();
  for (const auto& m : measured) {
    results.push_back({{"test", m.test},
                       {"weights", weights_of(stack)},
                       {"tokens", m.tokens},
                       {"depth", m.depth},
                       {"batch", m.batch},
                       {"tok_s", m.tokens_per_second},
                       {"roofline", known(m.share())},
                       {"bound", m.bound.name}});
    if (m.shared.sent_bytes == 0) continue;
    results.back()["communication"] = m.shared.time;
    results.back()["sent_bytes_a_token"] = m.shared.sent_bytes;
  }
  return {{"machine",
           {{"chip", stack.device->info().name},
            {"read_gbps", known(limits.read_bytes_per_s / 1e9)},
            {"int8_gops", known(limits.int8_ops_per_s / 1e9)},
            {"bf16_gflops", known(limits.bf16_flops_per_s / 1e9)},
            {"fp8_gflops", known(limits.fp8_flops_per_s / 1e9)},
            {"int4_gops", known(limits.int4_ops_per_s / 1e9)},
            {"f32_gflops", known(limits.f32_flops_per_s / 1e9)},
            {"write_gbps", known(limits.write_bytes_per_s / 1e9)},
            {"to_device_gbps", known(limits.to_device_bytes_per_s / 1e9)},
            {"to_host_gbps", known(limits.to_host_bytes_per_s / 1e9)},
            {"launch_us", known(limits.launch_s * 1e6)}}},
          {"loading", stack.loading.json()},
          {"results", results}};
}

void print_heading(const BenchOptions& options, const serving::Stack& stack,
                   const fathom_limits& limits) {
  fmt::print("{} ({}) on {}\n", options.stack.name(), weights_of(stack), stack.device->info().name);
  if (!options.stack.model.empty()) fmt::print("{}\n", stack.loading.text());
  fmt::print("limits: read {:.1f} GB/s, int8 {:.0f} GOPS, bf16 {:.0f} GFLOPS\n\n",
             limits.read_bytes_per_s / 1e9, limits.int8_ops_per_s / 1e9,
             limits.bf16_flops_per_s / 1e9);
  fmt::print("{:<8} {:>7} {:>7} {:>6} {:>12} {:>14} {:>16}\n", "test", "tokens", "depth", "batch",
             "tok/s", "tok/s each", "share of limit");
}

// All unknown where the chip cannot tell.
fathom_limits measure_limits(device::Device& device) {
  const auto limits = device.measure_limits();
  if (limits) return *limits;
  log_warning("bench: {}", limits.error().message);
  return {};
}

}  // namespace

int run_bench(const BenchOptions& options) {
  if (options.stack.model.empty() == options.stack.synthetic.empty()) {
    log_error("bench: expected one of --model and --synthetic");
    return 2;
  }
  auto stack = serving::build_stack(options.stack);
  if (!stack) {
    log_error("{}", stack.error().message);
    return 1;
  }
  if (stack->follower) return serving::follow_rank_0(stack->membership.ranks(), *stack->follower);
  // Ranks on one host would disturb each other's measurements, and a bound for all is not known.
  const bool alone = stack->cost.has_value();
  const fathom_limits limits = alone ? measure_limits(*stack->device) : fathom_limits{};
  if (!options.json) print_heading(options, *stack, limits);
  const auto measured = run_all(*stack, Roofline(limits, stack->cost), options);
  if (!measured) {
    log_error("bench: {}", measured.error().message);
    return 1;
  }
  if (options.json) std::cout << to_json(*stack, limits, *measured).dump(2) << "\n";
  return 0;
}

}  // namespace fathom::cli
