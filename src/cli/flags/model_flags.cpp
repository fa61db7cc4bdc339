#include "cli/flags/model_flags.h"

#include <vector>

#include "cli/flags/checks.h"
#include "cli/flags/help.h"
#include "device/device.h"
#include "models/deepseek_v3/weights/synthetic.h"

namespace fathom::cli {
namespace {

void add_weights_flag(CLI::App& command, models::WeightFormat& format) {
  std::vector<std::string> names;
  for (const auto each : models::kWeightFormats) names.emplace_back(models::to_string(each));
  const auto choose = [&format](const std::string& name) {
    for (const auto each : models::kWeightFormats) {
      if (name == models::to_string(each)) format = each;
    }
  };
  command
      .add_option_function<std::string>("--weights", choose,
                                        "requantise while loading: bf16, fp8, int8 or int4")
      ->option_text("FORMAT")
      ->check(one_of(names))
      ->default_str(models::to_string(format));
}

void add_kv_cache_flag(CLI::App& command, serving::KvCacheFormat& format) {
  const auto choose = [&format](const std::string& name) {
    format = name == "f32"    ? serving::KvCacheFormat::kF32
             : name == "bf16" ? serving::KvCacheFormat::kBf16
                              : serving::KvCacheFormat::kAuto;
  };
  command
      .add_option_function<std::string>("--kv-cache", choose,
                                        "numbers in the KV cache; auto: bf16 with int8 and int4 "
                                        "weights, else what the chip prefers")
      ->option_text("auto|f32|bf16")
      ->check(one_of({"auto", "f32", "bf16"}))
      ->default_str("auto");
}

void add_model_flags(CLI::App& command, serving::StackOptions& stack) {
  command.option_defaults()->group(kModelGroup);
  command.add_option("--model", stack.model, "directory of a released checkpoint")
      ->option_text("DIR");
  command
      .add_option("--chat-template", stack.chat_template,
                  "Jinja file in place of the model's own template")
      ->option_text("FILE");
  add_weights_flag(command, stack.weights);
  command
      .add_option("--weight-report", stack.weight_report,
                  "write the error of each requantised tensor there, as JSON lines")
      ->option_text("FILE");
}

void add_speed_flags(CLI::App& command, serving::StackOptions& stack) {
  command.option_defaults()->group(kSpeedGroup);
  command.add_option("--chip", stack.chip, "chip to run on (fathom doctor lists them)")
      ->option_text("NAME")
      ->capture_default_str();
  command
      .add_option(
          "--kernels", stack.kernels,
          "native: fast; reference: the slow oracle; of the chip sim: costs (docs/sim.md); of "
          "cpu-discrete: what it goes without (docs/discrete.md)")
      ->option_text("SET");
  command.add_option("--threads", stack.threads, "threads that compute; 0: one a core")
      ->transform(whole_number(0, 1024))
      ->capture_default_str();
  command
      .add_flag(
          "--pin,!--no-pin", stack.pin,
          "keep threads on cores of their own, where there is one for each; on unless --no-pin")
      ->default_str("true");
  command
      .add_option("--speculate", stack.speculate,
                  "tokens drafted a step by the model's MTP layer, if it has one; 0: off")
      ->transform(whole_number(0, 8))
      ->capture_default_str();
  command
      .add_option("--prefill-chunk", stack.prefill_chunk,
                  "prompt tokens read a step; twice as many while nobody is answered")
      ->option_text("TOKENS")
      ->transform(whole_number(1, 1 << 16))
      ->capture_default_str();
}

void add_request_flags(CLI::App& command, serving::StackOptions& stack) {
  command.option_defaults()->group(kRequestsGroup);
  command
      .add_option("--max-context", stack.max_context,
                  "longest prompt and answer together; 0: the model's")
      ->option_text("TOKENS")
      ->transform(whole_number(0, int64_t{1} << 24))
      ->capture_default_str();
  command.add_option("--max-running", stack.max_running, "requests answered at the same time")
      ->transform(whole_number(1, 4096))
      ->capture_default_str();
  command
      .add_option("--max-waiting", stack.max_waiting,
                  "requests of one owner queued beyond those; then 429")
      ->transform(whole_number(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--kv-memory", stack.kv_memory_mib,
                  "memory of the KV cache; 0: as needed, a quarter of what is free at most")
      ->option_text("MIB")
      ->transform(whole_number(0, int64_t{1} << 30))
      ->capture_default_str();
  add_kv_cache_flag(command, stack.kv_cache);
  command
      .add_option("--kv-block-size", stack.kv_block_size,
                  "tokens a block of the KV cache, of those that the chip takes; 0: as it reads "
                  "fastest")
      ->option_text("TOKENS")
      ->transform(whole_number(0, device::kMostKvBlock))
      ->capture_default_str();
}

}  // namespace

void add_stack_flags(CLI::App& command, serving::StackOptions& stack) {
  add_model_flags(command, stack);
  add_speed_flags(command, stack);
  add_request_flags(command, stack);
}

void add_parallel_flag(CLI::App& command, std::string& parallel) {
  command.option_defaults()->group(kRanksGroup);
  command
      .add_option("--parallel", parallel,
                  "how ranks divide the model: pp=,dp=,tp=,ep=[,redundant=][,shared=], or auto "
                  "(docs/layouts.md)")
      ->option_text("LAYOUT");
}

void add_synthetic_flag(CLI::App& command, std::string& synthetic) {
  const std::vector<std::string> names = models::deepseek_v3::synthetic_names();
  command.option_defaults()->group(kModelGroup);
  command
      .add_option("--synthetic", synthetic,
                  "in place of a model, one with random weights: " + list_of(names))
      ->option_text("NAME")
      ->check(one_of(names));
}

}  // namespace fathom::cli
