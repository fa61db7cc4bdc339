#include "cli/flags/checks.h"
#include "cli/flags/commands.h"
#include "cli/flags/help.h"
#include "cli/flags/model_flags.h"

namespace fathom::cli {

void add_bench(CLI::App& app, BenchOptions& options) {
  auto* bench = app.add_subcommand("bench", "measure prompt and decode speed");
  add_stack_flags(*bench, options.stack);
  add_synthetic_flag(*bench, options.stack.synthetic);
  add_parallel_flag(*bench, options.stack.parallel);
  options.stack.prefix_cache = false;  // prompts share a beginning, and reading them is measured
  bench->option_defaults()->group(kMeasureGroup);
  const auto lengths = [&](const char* name, std::vector<int64_t>& out, const char* help,
                           int64_t low, int64_t high) {
    bench->add_option(name, out, help)
        ->option_text("N,...")
        ->delimiter(',')
        ->transform(whole_number(low, high))
        ->capture_default_str();
  };
  lengths("--prompt", options.prompt, "prompt lengths", 1, 1 << 24);
  lengths("--decode", options.decode, "numbers of tokens to generate", 1, 1 << 20);
  lengths("--depth", options.depth, "tokens in the cache before", 0, 1 << 24);
  lengths("--batch", options.batch, "sequences at once", 1, 4096);
  bench->add_option("--repeat", options.repeat, "runs of each; the median counts")
      ->transform(whole_number(1, 1000))
      ->capture_default_str();
  bench->add_flag("--json", options.json, "print JSON");
}

}  // namespace fathom::cli
