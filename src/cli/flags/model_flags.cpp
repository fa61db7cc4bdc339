#include "cli/flags/model_flags.h"

#include <vector>

#include "models/deepseek_v3/synthetic.h"

namespace fathom::cli {
namespace {

CLI::Option* add_weights_flag(CLI::App& command, models::WeightFormat& format, const char* help) {
  std::vector<std::string> names;
  for (const auto each : models::kWeightFormats) names.emplace_back(models::to_string(each));
  const auto choose = [&format](const std::string& name) {
    for (const auto each : models::kWeightFormats) {
      if (name == models::to_string(each)) format = each;
    }
  };
  return command.add_option_function<std::string>("--weights", choose, help)
      ->check(CLI::IsMember(names))
      ->default_str(models::to_string(format));
}

}  // namespace

void add_stack_flags(CLI::App& command, StackOptions& stack) {
  command
      .add_option("--model", stack.model,
                  "directory of a released checkpoint (config.json, tokenizer.json, "
                  "*.safetensors)")
      ->envname("FATHOM_MODEL");
  command.add_option("--chip", stack.chip, "chip to run on, by name (see fathom doctor)")
      ->envname("FATHOM_CHIP")
      ->capture_default_str();
  command
      .add_option("--kernels", stack.kernels,
                  "kernel set: native (fast) or reference (the oracle, slow); of the chip sim what "
                  "it costs (docs/sim.md)")
      ->envname("FATHOM_KERNELS");
  command.add_flag("--pin,!--no-pin", stack.pin,
                   "keep threads on cores of their own, where there is one for each (default)");
  command.add_option("--threads", stack.threads, "threads that compute; 0: one a core")
      ->envname("FATHOM_THREADS")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  add_weights_flag(command, stack.weights,
                   "format to requantise to while loading: as-stored, bf16, fp8, int8 or int4")
      ->envname("FATHOM_WEIGHTS");
  command.add_option("--weight-report", stack.weight_report,
                     "file for the error of each requantised tensor, as JSON lines");
  command
      .add_option("--max-context", stack.max_context,
                  "longest prompt and answer, in tokens; 0: the model's")
      ->envname("FATHOM_MAX_CONTEXT")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  command
      .add_option("--kv-memory", stack.kv_memory_mib,
                  "MiB for the KV cache; 0: as needed, a quarter of the free memory at most")
      ->envname("FATHOM_KV_MEMORY")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str();
  command
      .add_option_function<std::string>(
          "--kv-cache",
          [&stack](const std::string& name) {
            stack.kv_cache = name == "f32"    ? KvCacheFormat::kF32
                             : name == "bf16" ? KvCacheFormat::kBf16
                                              : KvCacheFormat::kAuto;
          },
          "numbers in the KV cache: f32, bf16 or auto, which is bf16 where weights are int8 or "
          "int4 "
          "and what the chip prefers otherwise")
      ->envname("FATHOM_KV_CACHE")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->default_str("auto");
  command.add_option("--max-running", stack.max_running, "requests answered at the same time")
      ->envname("FATHOM_MAX_RUNNING")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option("--max-waiting", stack.max_waiting,
                  "requests of one owner queued beyond those; then 429")
      ->envname("FATHOM_MAX_WAITING")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--prefill-chunk", stack.prefill_chunk,
                  "prompt tokens read a step; twice as many while nobody is answered")
      ->envname("FATHOM_PREFILL_CHUNK")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command
      .add_option("--speculate", stack.speculate,
                  "tokens drafted a step by the model's MTP layer, if it has one; 0: off")
      ->envname("FATHOM_SPECULATE")
      ->check(CLI::Range(0, 8))
      ->capture_default_str();
  command
      .add_option("--chat-template", stack.chat_template,
                  "Jinja file to use in place of the model's own template")
      ->envname("FATHOM_CHAT_TEMPLATE");
}

void add_parallel_flag(CLI::App& command, std::string& parallel) {
  command
      .add_option("--parallel", parallel,
                  "how ranks divide the model: pp=,dp=,tp=,ep=[,redundant=][,shared=], or auto "
                  "(docs/layouts.md)")
      ->envname("FATHOM_PARALLEL");
}

void add_synthetic_flag(CLI::App& command, std::string& synthetic) {
  command
      .add_option("--synthetic", synthetic, "random weights made in memory, in place of --model")
      ->check(CLI::IsMember(models::deepseek_v3::synthetic_names()));
}

}  // namespace fathom::cli
