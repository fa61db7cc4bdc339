#include "cli/flags/disaggregation_flags.h"

#include <CLI/CLI.hpp>

#include "cli/flags/checks.h"
#include "cli/flags/help.h"

namespace fathom::cli {

void add_disaggregation_flags(CLI::App& app, serving::DisaggregationOptions& options) {
  app.option_defaults()->group(kDisaggregationGroup);
  app.add_option_function<std::string>(
         "--role",
         [&options](const std::string& name) {
           options.role = name == "prefill"  ? serving::Role::kPrefill
                          : name == "decode" ? serving::Role::kDecode
                                             : serving::Role::kBoth;
         },
         "prefill: compute prompts for others; decode: have others compute them "
         "(docs/kv-transfer.md)")
      ->option_text("both|prefill|decode")
      ->check(one_of({"both", "prefill", "decode"}))
      ->default_str("both");
  app.add_option("--kv-listen", options.kv_listen,
                 "where a prefill engine is asked for KV blocks; there are no keys")
      ->option_text("HOST:PORT");
  app.add_option("--prefill", options.prefill, "prefill engines that a decode engine asks")
      ->option_text("HOST:PORT,...")
      ->delimiter(',');
  app.add_option("--prefill-min-tokens", options.min_tokens,
                 "shorter prompts, without what is cached, a decode engine computes itself")
      ->option_text("TOKENS")
      ->transform(whole_number(1, int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("--prefill-deadline", options.deadline_seconds,
                 "without a KV block, after which another prefill engine is asked")
      ->option_text("SECONDS")
      ->transform(whole_number(1, 86400))
      ->capture_default_str();
}

}  // namespace fathom::cli
