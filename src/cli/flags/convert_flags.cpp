#include "cli/flags/checks.h"
#include "cli/flags/commands.h"
#include "cli/flags/help.h"
#include "cli/flags/model_flags.h"

namespace fathom::cli {

void add_convert(CLI::App& app, ConvertOptions& options) {
  auto* convert = app.add_subcommand("convert", "write a model in another format");
  convert->option_defaults()->group(kModelGroup);
  convert->add_option("--model", options.model, "directory or GGUF file to read")
      ->option_text("PATH");
  add_synthetic_flag(*convert, options.synthetic);
  convert->option_defaults()->group(kOutputGroup);
  convert->add_option("--out", options.out, "what to write; it must not exist")
      ->option_text("PATH")
      ->required();
  convert
      ->add_option("--to", options.to,
                   "fathom: a model directory; gguf: one file, which llama.cpp runs")
      ->option_text("fathom|gguf")
      ->check(one_of({"fathom", "gguf"}))
      ->capture_default_str();
  convert
      ->add_option("--weights", options.weights,
                   "as-stored (default), bf16, fp8, int8 or int4; to gguf bf16 (default), f16, "
                   "q8_0 or q4_0")
      ->option_text("FORMAT");
  convert->add_option("--shard-size", options.shard_mib, "how large a file may be")
      ->option_text("MIB")
      ->transform(whole_number(1, int64_t{1} << 30))
      ->capture_default_str();
  convert
      ->add_option("--weight-report", options.weight_report,
                   "write the error of each requantised tensor there, as JSON lines")
      ->option_text("FILE");
  convert->option_defaults()->group(kSpeedGroup);
  convert->add_option("--threads", options.threads, "threads that compute; 0: one a core")
      ->transform(whole_number(0, 1024))
      ->capture_default_str();
}

}  // namespace fathom::cli
