// How long a simulated chip waits for the host from one step to the next, by the chip's own events:
// 256 sequences, a quarter of them with JSON grammars and a quarter with penalties, of which one
// ends and one joins in each step.
//
//   idle_gap [--steps 2000] [--step-ms 5] [--sequences 256] [--vocab 1280]
//
// What counts as a gap is whatever time the chip has nothing to do before a step's forward pass and
// before its tokens are drawn. Goals for steps of 5 ms: 100 us at the median, 300 us at p99.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "backends/sim/sim_backend.h"
#include "device/device.h"
#include "engine/engine.h"
#include "grammar/compiler.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/synthetic.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;

struct Settings {
  int64_t steps = 2000;
  double step_ms = 5;
  int64_t sequences = 256;
  int64_t vocab = 1280;
};

// The simulated chip, with an event behind its last work and one at the beginning of each stretch
// of work that the host may be late for.
class WatchedChip {
 public:
  struct Wait {
    fathom_event* before;  // behind the work before it
    fathom_event* begin;
    bool begins_step;
  };

  static const fathom_backend& table() {
    static const fathom_backend table = make_table();
    return table;
  }
  // Of the device that was opened last, before it works: lets some steps pass, then watches so
  // many.
  static void prepare(int64_t warm_up, int64_t steps, int64_t vocab) {
    warm_up_ = warm_up;
    most_steps_ = steps;
    vocab_ = vocab;
    begun_ = steps_ = launches_ = 0;
    waits_.clear();
    waits_.reserve(static_cast<size_t>(3 * steps));
    for (int64_t i = 0; i < 6 * steps + 1; ++i) events_.push_back(create());
    used_ = 1;
  }
  static void release() {
    for (fathom_event* event : events_) whole().event_destroy(device_, event);
    events_.clear();
  }
  static int64_t steps() { return steps_; }
  static double launches_a_step() {
    return static_cast<double>(launches_) / static_cast<double>(steps_);
  }
  static const std::vector<Wait>& waits() { return waits_; }
  static double elapsed_ms(fathom_event* from, fathom_event* to) {
    float milliseconds = 0;
    whole().event_elapsed_ms(device_, from, to, &milliseconds);
    return milliseconds;
  }

 private:
  static const fathom_backend& whole() { return *fathom_sim_backend_entry(FATHOM_ABI_VERSION); }
  static fathom_event* create() {
    fathom_event* event = nullptr;
    FATHOM_CHECK(whole().event_create(device_, &event) == FATHOM_OK, "idle_gap: no memory");
    return event;
  }

  // A step takes the last one's tokens, or none, and looks them up; later it draws.
  static bool begins_stretch(fathom_op op, const void* args) {
    if (op == FATHOM_OP_TAKE_TOKENS || op == FATHOM_OP_SAMPLE) return true;
    return op == FATHOM_OP_EMBED && static_cast<const fathom_embed_args*>(args)->table.n == vocab_;
  }

  // The event behind the last work.
  static fathom_event* last() { return events_[used_ - 1]; }

  static void note(fathom_op op) {
    if (op == FATHOM_OP_EMBED) ++begun_;
    if (begun_ <= warm_up_ || steps_ == most_steps_ || used_ + 2 > events_.size()) return;
    fathom_event* before = last();
    used_ += 2;
    fathom_event* begin = events_[used_ - 2];
    whole().event_record(device_, stream_, begin);
    waits_.push_back({before, begin, op == FATHOM_OP_EMBED});
    if (op == FATHOM_OP_EMBED) ++steps_;
  }

  template <fathom_op kOp>
  static fathom_status run(fathom_device* device, fathom_stream* stream, const void* args) {
    if (begins_stretch(kOp, args)) note(kOp);
    const fathom_status status = whole().kernels[kOp](device, stream, args);
    whole().event_record(device, stream, last());
    if (begun_ > warm_up_ && steps_ < most_steps_) ++launches_;
    return status;
  }

  template <int... kOps>
  static void watch_kernels(fathom_backend& table, std::integer_sequence<int, kOps...>) {
    const auto watch_one = [](fathom_kernel& kernel, fathom_kernel watched) {
      if (kernel != nullptr) kernel = watched;
    };
    (watch_one(table.kernels[kOps], run<static_cast<fathom_op>(kOps)>), ...);
  }
  static fathom_backend make_table() {
    fathom_backend table = whole();
    watch_kernels(table, std::make_integer_sequence<int, FATHOM_OP_COUNT>());
    table.stream_create = [](fathom_device* device, fathom_stream** stream) {
      const fathom_status status = whole().stream_create(device, stream);
      device_ = device;
      stream_ = *stream;
      return status;
    };
    return table;
  }

  static inline fathom_device* device_ = nullptr;
  static inline fathom_stream* stream_ = nullptr;
  static inline std::vector<fathom_event*> events_;
  static inline size_t used_ = 0;
  static inline std::vector<Wait> waits_;
  static inline int64_t vocab_ = 0;
  static inline int64_t warm_up_ = 0;
  static inline int64_t most_steps_ = 0;
  static inline int64_t begun_ = 0;     // steps, watched or not
  static inline int64_t launches_ = 0;  // in steps that are watched
  static inline std::atomic<int64_t> steps_ = 0;
};

std::shared_ptr<const grammar::CompiledGrammar> records(int64_t vocab) {
  constexpr const char* kSchema = R"({"type": "array", "minItems": 200, "items": {
    "type": "object", "properties": {"name": {"type": "string", "maxLength": 12},
    "count": {"type": "integer"}, "kind": {"enum": ["fruit", "tool", "animal"]}},
    "required": ["name", "count", "kind"], "additionalProperties": false}})";
  std::vector<std::string> texts;
  for (int64_t token = 0; token < vocab; ++token) {
    std::string text(1, static_cast<char>(' ' + token % 95));
    for (int64_t rest = token / 95; rest > 0; rest /= 26) {
      text += static_cast<char>('a' + rest % 26);
    }
    texts.push_back(std::move(text));
  }
  const std::vector<std::string_view> tokens(texts.begin(), texts.end());
  grammar::Compiler compiler(grammar::Vocabulary::build(tokens, {}));
  return compiler.compile({grammar::SourceKind::kJsonSchema, kSchema}).value();
}

class Load {
 public:
  Load(engine::Engine& engine, const Settings& settings)
      : engine_(engine), settings_(settings), grammar_(records(settings.vocab)) {
    for (int64_t i = 0; i < settings.sequences; ++i) join(i, settings.sequences + i);
  }
  void stop() {
    stopping_ = true;
    engine_.cancel_all();
  }

 private:
  // One more answer like the one that ended.
  void join(int64_t number, int64_t max_tokens) {
    engine::Request request;
    for (int64_t i = 0; i < 16; ++i) {
      request.prompt.push_back(
          static_cast<engine::TokenId>((number * 31 + i * 7) % settings_.vocab));
    }
    request.sampling.max_tokens = max_tokens;
    request.sampling.ignore_eos = true;
    request.sampling.seed = static_cast<uint64_t>(number);
    request.sampling.temperature = number % 2 == 0 ? 1.0f : 0.0f;
    if (number % 4 == 0) request.grammar = grammar_;
    if (number % 4 == 1) {
      request.sampling.temperature = 0.8f;
      request.sampling.top_p = 0.95f;
      request.sampling.repetition_penalty = 1.1f;
      request.sampling.presence_penalty = 0.5f;
      request.sampling.frequency_penalty = 0.5f;
    }
    engine_.submit(std::move(request), [this, number](const engine::Event& event) {
      if (event.finish && !stopping_) join(number + settings_.sequences, settings_.sequences);
    });
  }

  engine::Engine& engine_;
  const Settings settings_;
  std::shared_ptr<const grammar::CompiledGrammar> grammar_;
  std::atomic<bool> stopping_ = false;
};

struct Gaps {
  std::vector<double> us;  // of each step
  double step_ms = 0;      // from begin to begin, at the median
  double launches = 0;     // a step
};

double at(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(share * static_cast<double>(values.size())))];
}

Gaps gaps_of(const std::vector<WatchedChip::Wait>& waits) {
  Gaps result;
  std::vector<double> periods;
  fathom_event* step_began = nullptr;
  double gap = 0;
  for (const auto& wait : waits) {
    gap += 1e3 * WatchedChip::elapsed_ms(wait.before, wait.begin);
    if (!wait.begins_step) continue;
    result.us.push_back(gap);
    gap = 0;
    if (step_began != nullptr) periods.push_back(WatchedChip::elapsed_ms(step_began, wait.begin));
    step_began = wait.begin;
  }
  result.step_ms = at(periods, 0.5);
  return result;
}

Gaps run(const Settings& settings, const std::string& costs, int64_t steps) {
  auto device =
      device::Device::open(WatchedChip::table(), {.index = 0, .threads = 0, .kernels = costs})
          .value();
  auto config = dsv3::Config::parse(dsv3::synthetic_config("v3-mini").value()).value();
  config.vocab_size = static_cast<decltype(config.vocab_size)>(settings.vocab);
  const int64_t longest = 3 * settings.sequences;
  const models::RunLimits limits = {.max_step_tokens = 2 * 512 + settings.sequences,
                                    .max_logit_rows = settings.sequences + 16,
                                    .max_context = longest,
                                    .max_step_sequences = settings.sequences,
                                    .num_kv_blocks = settings.sequences * (longest / 32 + 1),
                                    .kv_block_size = 32,
                                    .kv_dtype = FATHOM_BF16};
  auto model = dsv3::Model::load(std::make_shared<const dsv3::SyntheticSource>(), config, *device,
                                 limits, {.format = models::WeightFormat::kFp8})
                   .value();
  // Until all answer and the first have ended.
  WatchedChip::prepare(2 * settings.sequences, steps, settings.vocab);
  const auto engine =
      engine::make_engine(std::move(model), {.max_running = settings.sequences}).value();
  Load load(*engine, settings);
  constexpr std::chrono::milliseconds kLook(10);
  while (WatchedChip::steps() < steps) std::this_thread::sleep_for(kLook);
  load.stop();
  while (!engine->idle()) std::this_thread::sleep_for(kLook);
  Gaps result = gaps_of(WatchedChip::waits());
  result.launches = WatchedChip::launches_a_step();
  WatchedChip::release();
  return result;
}

template <typename Number>
bool read(const char* text, Number& number) {
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, number);
  return read.ec == std::errc() && read.ptr == end && number > 0;
}

bool read(int count, char** words, Settings& settings) {
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = words[i];
    const bool good = name == "--steps"       ? read(words[i + 1], settings.steps)
                      : name == "--step-ms"   ? read(words[i + 1], settings.step_ms)
                      : name == "--sequences" ? read(words[i + 1], settings.sequences)
                      : name == "--vocab"     ? read(words[i + 1], settings.vocab)
                                              : false;
    if (!good) return false;
  }
  return count % 2 == 1;
}

}  // namespace
}  // namespace fathom

int main(int count, char** words) {
  using namespace fathom;
  Settings settings;
  if (!read(count, words, settings)) {
    fmt::print(stderr,
               "expected [--steps N] [--step-ms X] [--sequences N] [--vocab N], all above 0\n");
    return 2;
  }
  // How many kernels a step has, so that each of them costs its share.
  constexpr int64_t kTrialSteps = 50;
  const double launches = run(settings, "free", kTrialSteps).launches;
  const auto result =
      run(settings, fmt::format("launch={}", 1e3 * settings.step_ms / launches), settings.steps);
  fmt::print(
      "{} steps of {:.2f} ms, {} sequences: the chip waits {:.0f} us a step at the median, {:.0f} "
      "us "
      "at p99, {:.0f} us at most\n",
      result.us.size(), result.step_ms, settings.sequences, at(result.us, 0.5), at(result.us, 0.99),
      at(result.us, 1));
  return 0;
}
