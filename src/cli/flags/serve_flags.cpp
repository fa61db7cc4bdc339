#include "cli/flags/checks.h"
#include "cli/flags/commands.h"
#include "cli/flags/disaggregation_flags.h"
#include "cli/flags/edge_flags.h"
#include "cli/flags/help.h"
#include "cli/flags/log_flags.h"
#include "cli/flags/model_flags.h"

namespace fathom::cli {
namespace {

constexpr int64_t kLongestShutdown = 86'400;

void add_answer_flags(CLI::App& serve, ServeOptions& options) {
  serve.option_defaults()->group(kModelGroup);
  serve
      .add_option("--model-name", options.model_name,
                  "name that requests use; default: the directory's")
      ->option_text("NAME");
  serve
      .add_option("--alias", options.aliases,
                  "further name: NAME[=MODEL][,thinking=on|off][,sampling=request|default]; may be "
                  "given again")
      ->option_text("ALIAS");
  serve.add_flag("--thinking", options.thinking,
                 "think before answering unless a request says otherwise");
}

void add_memory_flags(CLI::App& serve, ServeOptions& options) {
  serve.option_defaults()->group(kRequestsGroup);
  takes_on_off(serve.add_option("--prefix-cache", options.stack.prefix_cache,
                                "share what prompts that begin alike have computed"))
      ->default_str("on");
  serve.add_flag("--exact", options.stack.exact,
                 "share only what changes no bit of an answer: nothing that answers computed");
  serve
      .add_option("--answer-memory", options.answer_memory_mib,
                  "for log-probabilities of answers that are not streamed; then 429")
      ->option_text("MIB")
      ->transform(whole_number(1, 1 << 20))
      ->capture_default_str();
  serve
      .add_option("--keep-responses", options.keep_responses_seconds,
                  "how long stored responses are kept; 0: not at all")
      ->option_text("SECONDS")
      ->transform(whole_number(0, int64_t{366} * 86400))
      ->capture_default_str();
  serve.add_option("--keep-responses-memory", options.keep_responses_mib, "for stored responses")
      ->option_text("MIB")
      ->transform(whole_number(0, 1 << 20))
      ->capture_default_str();
  serve
      .add_option("--shutdown-seconds", options.shutdown_seconds,
                  "how long running answers may take after SIGTERM")
      ->option_text("SECONDS")
      ->transform(whole_number(0, kLongestShutdown))
      ->capture_default_str();
}

void add_rank_flags(CLI::App& serve, ServeOptions& options) {
  add_parallel_flag(serve, options.stack.parallel);
  serve
      .add_option("--balance-steps", options.stack.balance_steps,
                  "steps after which redundant experts are placed anew by load; 0: never")
      ->option_text("STEPS")
      ->transform(whole_number(0, int64_t{1} << 40))
      ->capture_default_str();
  serve.add_flag("--expert-metrics", options.expert_metrics,
                 "count the tokens of each expert in /metrics; only with several ranks");
}

void add_dry_run_flags(CLI::App& serve, DryRunOptions& dry_run) {
  auto* enabled = serve.add_flag(
      "--dry-run", dry_run.enabled,
      "print what each rank would hold and send, and end; --model may be a config.json");
  serve
      .add_option("--ranks", dry_run.ranks,
                  "with --dry-run: ranks to plan for; default: the layout's")
      ->transform(whole_number(1, models::deepseek_v3::kMaxRanks))
      ->needs(enabled);
  serve.add_option("--rank", dry_run.rank, "with --dry-run: list this rank's tensors")
      ->transform(whole_number(0, models::deepseek_v3::kMaxRanks - 1))
      ->needs(enabled);
  takes_size(
      serve.add_option("--device-memory", dry_run.device_memory,
                       "with --dry-run: memory of one rank's chip: 64GB (10^9), 64GiB (2^30)"),
      int64_t{1} << 50)
      ->needs(enabled);
  serve.add_flag("--json", dry_run.json, "with --dry-run: print the plan as JSON")->needs(enabled);
}

}  // namespace

void add_serve(CLI::App& app, ServeOptions& options) {
  auto* serve = app.add_subcommand("serve", "serve a model over the OpenAI API");
  add_stack_flags(*serve, options.stack);
  add_answer_flags(*serve, options);
  add_synthetic_flag(*serve, options.stack.synthetic);
  add_edge_flags(*serve, options.edge);
  add_memory_flags(*serve, options);
  add_rank_flags(*serve, options);
  add_dry_run_flags(*serve, options.dry_run);
  add_log_flags(*serve, options.log);
  add_disaggregation_flags(*serve, options.stack.disaggregation);
  serve->option_defaults()->group(kOtherGroup);
  serve->add_flag("--check", options.check_only, "load the model, say whether it is good, and end");
}

}  // namespace fathom::cli
