// The fathom binary: command line in, one command run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "base/log.h"
#include "cli/bench.h"
#include "cli/chat.h"
#include "cli/convert.h"
#include "cli/doctor.h"
#include "cli/process_setup.h"
#include "cli/serve.h"
#include "cli/suggest.h"
#include "cli/version.h"
#include "models/deepseek_v3/synthetic.h"

namespace fathom::cli {
namespace {

// Option names a user may type for `command`, for suggestions.
std::vector<std::string> names_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const auto* sub : command.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

CLI::Option* add_weights_option(CLI::App& app, models::WeightFormat& format, const char* help) {
  std::vector<std::string> names;
  for (const auto each : models::kWeightFormats) names.emplace_back(models::to_string(each));
  const auto choose = [&format](const std::string& name) {
    for (const auto each : models::kWeightFormats) {
      if (name == models::to_string(each)) format = each;
    }
  };
  return app.add_option_function<std::string>("--weights", choose, help)
      ->check(CLI::IsMember(names))
      ->default_str(models::to_string(format));
}

void add_stack_options(CLI::App& app, StackOptions& stack) {
  app.add_option("--model", stack.model,
                 "directory of a released checkpoint (config.json, tokenizer.json, "
                 "*.safetensors)")
      ->envname("FATHOM_MODEL");
  app.add_option("--chip", stack.chip, "chip to run on, by name (see fathom doctor)")
      ->envname("FATHOM_CHIP")
      ->capture_default_str();
  app.add_option("--kernels", stack.kernels,
                 "kernel set: native (fast) or reference (the oracle, slow); of the chip sim what "
                 "it costs (docs/sim.md)")
      ->envname("FATHOM_KERNELS");
  app.add_flag("--pin,!--no-pin", stack.pin,
               "keep threads on cores of their own, where there is one for each (default)");
  app.add_option("--threads", stack.threads, "threads that compute; 0: one a core")
      ->envname("FATHOM_THREADS")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  add_weights_option(app, stack.weights,
                     "format to requantise to while loading: as-stored, bf16, fp8, int8 or int4")
      ->envname("FATHOM_WEIGHTS");
  app.add_option("--weight-report", stack.weight_report,
                 "file for the error of each requantised tensor, as JSON lines");
  app.add_option("--max-context", stack.max_context,
                 "longest prompt and answer, in tokens; 0: the model's")
      ->envname("FATHOM_MAX_CONTEXT")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("--kv-memory", stack.kv_memory_mib,
                 "MiB for the KV cache; 0: as needed, a quarter of the free memory at most")
      ->envname("FATHOM_KV_MEMORY")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--kv-cache",
         [&stack](const std::string& name) {
           stack.kv_cache = name == "f32"    ? KvCacheFormat::kF32
                            : name == "bf16" ? KvCacheFormat::kBf16
                                             : KvCacheFormat::kAuto;
         },
         "numbers in the KV cache: f32, bf16 or auto, which is bf16 where weights are int8 or int4 "
         "and what the chip prefers otherwise")
      ->envname("FATHOM_KV_CACHE")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->default_str("auto");
  app.add_option("--max-running", stack.max_running, "requests answered at the same time")
      ->envname("FATHOM_MAX_RUNNING")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--max-waiting", stack.max_waiting,
                 "requests of one owner queued beyond those; then 429")
      ->envname("FATHOM_MAX_WAITING")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--prefill-chunk", stack.prefill_chunk,
                 "prompt tokens read a step; twice as many while nobody is answered")
      ->envname("FATHOM_PREFILL_CHUNK")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  app.add_option("--speculate", stack.speculate,
                 "tokens drafted a step by the model's MTP layer, if it has one; 0: off")
      ->envname("FATHOM_SPECULATE")
      ->check(CLI::Range(0, 8))
      ->capture_default_str();
  app.add_option("--chat-template", stack.chat_template,
                 "Jinja file to use in place of the model's own template")
      ->envname("FATHOM_CHAT_TEMPLATE");
}

void add_parallel_option(CLI::App& app, std::string& parallel) {
  app.add_option("--parallel", parallel,
                 "how ranks divide the model: pp=,dp=,tp=,ep=[,redundant=][,shared=], or auto "
                 "(docs/layouts.md)")
      ->envname("FATHOM_PARALLEL");
}

void add_balance_option(CLI::App& app, int64_t& steps) {
  app.add_option("--balance-steps", steps,
                 "steps after which experts' loads are counted for /metrics, and redundant experts "
                 "placed anew by them; 0: never")
      ->envname("FATHOM_BALANCE_STEPS")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
}

void add_synthetic_option(CLI::App& app, std::string& synthetic) {
  app.add_option("--synthetic", synthetic, "random weights made in memory, in place of --model")
      ->check(CLI::IsMember(models::deepseek_v3::synthetic_names()));
}

void add_layout_options(CLI::App& serve, ServeOptions& options) {
  DryRunOptions& dry_run = options.dry_run;
  add_parallel_option(serve, options.stack.parallel);
  add_balance_option(serve, options.stack.balance_steps);
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

void add_api_options(CLI::App& serve, ServeOptions& options) {
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

void add_serve(CLI::App& app, ServeOptions& options) {
  auto* serve = app.add_subcommand("serve", "serve a model over the OpenAI API");
  add_stack_options(*serve, options.stack);
  add_synthetic_option(*serve, options.stack.synthetic);
  add_edge_flags(*serve, options.edge);
  add_api_options(*serve, options);
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
  add_layout_options(*serve, options);
  serve->add_flag("--check", options.check_only, "load the model, say whether it is good, and end");
}

void add_chat(CLI::App& app, ChatOptions& options) {
  auto* chat = app.add_subcommand("chat", "talk to a server, or to a model it starts itself");
  chat->add_option("--url", options.url, "server to talk to")->capture_default_str();
  chat->add_option("--api-key", options.api_key, "key that the server wants")
      ->envname("FATHOM_API_KEY");
  chat->add_option("--ca", options.ca_file,
                   "PEM file of certificates to trust with https; default: the system's");
  add_stack_options(*chat, options.stack);
  chat->add_option("--model-name", options.model, "model to ask for; default: the server's first");
  chat->add_option("--system", options.system, "system prompt");
  chat->add_flag("--thinking,!--no-thinking", options.thinking,
                 "think before answering (default); --no-thinking answers directly");
  chat->add_option("--temperature", options.temperature, "0: always the likeliest token")
      ->check(CLI::Range(0.0, 2.0))
      ->capture_default_str();
  chat->add_option("--max-tokens", options.max_tokens, "longest answer; 0: as long as fits")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
}

void add_bench(CLI::App& app, BenchOptions& options) {
  auto* bench = app.add_subcommand("bench", "measure prompt and decode speed");
  add_stack_options(*bench, options.stack);
  add_synthetic_option(*bench, options.stack.synthetic);
  add_parallel_option(*bench, options.stack.parallel);
  options.stack.prefix_cache = false;  // its prompts begin alike, and reading them is measured
  const auto lengths = [&](const char* name, std::vector<int64_t>& out, const char* help,
                           int64_t low, int64_t high) {
    bench->add_option(name, out, help)
        ->delimiter(',')
        ->check(CLI::Range(low, high))
        ->capture_default_str();
  };
  lengths("--prompt", options.prompt, "prompt lengths, separated by commas", 1, 1 << 24);
  lengths("--decode", options.decode, "numbers of tokens to generate", 1, 1 << 20);
  lengths("--depth", options.depth, "tokens in the cache before", 0, 1 << 24);
  lengths("--batch", options.batch, "sequences at once", 1, 4096);
  bench->add_option("--repeat", options.repeat, "runs of each; the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  bench->add_flag("--json", options.json, "print JSON");
}

void add_convert(CLI::App& app, ConvertOptions& options) {
  auto* convert = app.add_subcommand("convert", "write a model in another format");
  convert->add_option("--model", options.model, "directory or GGUF file to read");
  add_synthetic_option(*convert, options.synthetic);
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

void add_doctor(CLI::App& app, DoctorOptions& options) {
  auto* doctor = app.add_subcommand("doctor", "say what is missing here and how to mend it");
  doctor->add_option("--model", options.model, "model directory to look at too");
  doctor->add_option("--port", options.port, "port that serve would use")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
}

// CLI11's words, and the nearest right name where one was mistyped.
int explain(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  const CLI::App* command = &app;
  for (const auto* sub : app.get_subcommands()) command = sub;
  const auto names = names_of(*command);
  for (int i = 1; i < argc; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    const bool is_name = i == 1 || word.starts_with("--");
    if (!is_name || word == command->get_name()) continue;
    if (std::find(names.begin(), names.end(), word) != names.end() || word == "--help") continue;
    if (word.starts_with("--") || command == &app) {
      fmt::print(stderr, "fathom: unknown {} {}", word.starts_with("-") ? "flag" : "command", word);
      if (const auto best = nearest(word, names)) fmt::print(stderr, "; did you mean {}?", *best);
      fmt::print(stderr, "\n");
      return 2;
    }
  }
  fmt::print(stderr, "fathom: {}\nSee: fathom {} --help\n", error.what(),
             command == &app ? "" : command->get_name());
  return 2;
}

int run(int argc, char** argv) {
  CLI::App app("Fathom serves DeepSeek-V3 and R1 on any chip.", "fathom");
  app.set_version_flag("--version", std::string("fathom ") + kVersion);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  ServeOptions serve;
  ChatOptions chat;
  BenchOptions bench;
  ConvertOptions convert;
  DoctorOptions doctor;
  add_serve(app, serve);
  add_chat(app, chat);
  add_bench(app, bench);
  add_convert(app, convert);
  add_doctor(app, doctor);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return explain(app, error, argc, argv);
  }
  if (app.got_subcommand("serve")) return run_serve(serve);
  if (app.got_subcommand("chat")) return run_chat(chat);
  if (app.got_subcommand("bench")) return run_bench(bench);
  if (app.got_subcommand("convert")) return run_convert(convert);
  return run_doctor(doctor);
}

}  // namespace
}  // namespace fathom::cli

int main(int argc, char** argv) {
  fathom::cli::keep_standard_streams();
  try {
    return fathom::cli::run(argc, argv);
  } catch (const std::exception& error) {  // a reader that is gone where SIGPIPE is ignored
    fathom::log_error("{}", error.what());
    return 1;
  }
}
