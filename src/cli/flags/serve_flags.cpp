#include "cli/flags/commands.h"
#include "cli/flags/model_flags.h"

namespace fathom::cli {
namespace {

void add_balance_flag(CLI::App& serve, int64_t& steps) {
  serve
      .add_option(
          "--balance-steps", steps,
          "steps after which experts' loads are counted for /metrics, and redundant experts "
          "placed anew by them; 0: never")
      ->envname("FATHOM_BALANCE_STEPS")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
}

void add_layout_flags(CLI::App& serve, ServeOptions& options) {
  DryRunOptions& dry_run = options.dry_run;
  add_parallel_flag(serve, options.stack.parallel);
  add_balance_flag(serve, options.stack.balance_steps);
  auto* enabled = serve.add_flag(
      "--dry-run", dry_run.enabled,
      "print what each rank would hold and send, and end; --model may be a config.json");
  serve.add_option("--ranks", dry_run.ranks, "ranks to plan for; default: the layout's")
      ->check(CLI::Range(int64_t{1}, models::deepseek_v3::kMaxRanks))
      ->needs(enabled);
  serve.add_option("--rank", dry_run.rank, "list this rank's tensors")
      ->check(CLI::Range(int64_t{0}, models::deepseek_v3::kMaxRanks - 1))
      ->needs(enabled);
  serve
      .add_option("--device-memory", dry_run.device_memory,
                  "memory of one rank's chip: 64GB (10^9), 64GiB (2^30)")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 50))
      ->needs(enabled);
  serve.add_flag("--json", dry_run.json, "print the plan as JSON")->needs(enabled);
}

void add_api_flags(CLI::App& serve, ServeOptions& options) {
  serve
      .add_option("--model-name", options.model_name,
                  "name that requests use; default: the directory's")
      ->envname("FATHOM_MODEL_NAME");
  serve
      .add_option(
          "--alias", options.aliases,
          "further name: NAME[=MODEL][,thinking=on|off][,sampling=request|default]; may be given "
          "again")
      ->allow_extra_args(false);
  serve.add_flag("--thinking", options.thinking,
                 "think before answering unless a request says otherwise");
  serve
      .add_option("--keep-responses", options.keep_responses_seconds,
                  "seconds that stored responses are kept; 0: not at all")
      ->check(CLI::Range(int64_t{0}, int64_t{366} * 86400))
      ->capture_default_str();
  serve
      .add_option("--answer-memory", options.answer_memory_mib,
                  "MiB that log-probabilities may take in answers that are not streamed; then 429")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  serve
      .add_option("--keep-responses-memory", options.keep_responses_mib,
                  "MiB that stored responses may take")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  serve
      .add_flag("--expert-metrics", options.expert_metrics,
                "count the tokens of each expert in /metrics; only with several ranks")
      ->envname("FATHOM_EXPERT_METRICS");
}

}  // namespace

void add_serve(CLI::App& app, ServeOptions& options) {
  auto* serve = app.add_subcommand("serve", "serve a model over the OpenAI API");
  add_stack_flags(*serve, options.stack);
  add_synthetic_flag(*serve, options.stack.synthetic);
  add_edge_flags(*serve, options.edge);
  add_log_flags(*serve, options.log);
  add_api_flags(*serve, options);
  serve
      ->add_option("--prefix-cache", options.stack.prefix_cache,
                   "share what prompts that begin alike have computed")
      ->envname("FATHOM_PREFIX_CACHE")
      ->check(CLI::IsMember({"on", "off"}))
      ->default_str("on");
  serve
      ->add_flag("--exact", options.stack.exact,
                 "share only what changes no bit of an answer: not what answers wrote with prompts")
      ->envname("FATHOM_EXACT");
  serve
      ->add_option("--shutdown-seconds", options.shutdown_seconds,
                   "how long running answers may take after SIGTERM")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  add_apart_flags(*serve, options.stack.apart);
  add_layout_flags(*serve, options);
  serve->add_flag("--check", options.check_only, "load the model, say whether it is good, and end");
}

}  // namespace fathom::cli
