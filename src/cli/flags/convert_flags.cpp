#include "cli/flags/commands.h"
#include "cli/flags/model_flags.h"

namespace fathom::cli {

void add_convert(CLI::App& app, ConvertOptions& options) {
  auto* convert = app.add_subcommand("convert", "write a model in another format");
  convert->add_option("--model", options.model, "directory or GGUF file to read");
  add_synthetic_flag(*convert, options.synthetic);
  convert
      ->add_option("--to", options.to,
                   "fathom: a model directory; gguf: one file, which llama.cpp runs")
      ->check(CLI::IsMember({"fathom", "gguf"}))
      ->capture_default_str();
  convert->add_option("--weights", options.weights,
                      "as-stored (default), bf16, fp8, int8 or int4; to gguf bf16 (default), f16, "
                      "q8_0 or q4_0");
  convert->add_option("--out", options.out, "what to write; it must not exist")->required();
  convert->add_option("--shard-size", options.shard_mib, "MiB a file may have")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  convert->add_option("--threads", options.threads, "threads that compute; 0: one a core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  convert->add_option("--weight-report", options.weight_report,
                      "file for the error of each requantised tensor, as JSON lines");
}

}  // namespace fathom::cli
