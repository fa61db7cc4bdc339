#include "cli/flags/other_servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

namespace fathom::cli {
namespace {

constexpr OtherName same(const char* name, const char* ours) {
  return {name, true, ours, nullptr, nullptr, nullptr};
}
constexpr OtherName fixed(const char* name, const char* ours, const char* value) {
  return {name, false, ours, value, nullptr, nullptr};
}
constexpr OtherName differs(const char* name, const char* advice) {
  return {name, true, nullptr, nullptr, advice, nullptr};
}
constexpr OtherName differs_alone(const char* name, const char* advice) {
  return {name, false, nullptr, nullptr, advice, nullptr};
}

constexpr const char* kLayout =
    "write --parallel pp=STAGES,dp=N,tp=N, what is 1 left out (docs/layouts.md)";
constexpr OtherName divides(const char* name, const char* part) {
  return {name, true, nullptr, nullptr, kLayout, part};
}
constexpr OtherName divides_alone(const char* name, const char* part) {
  return {name, false, nullptr, nullptr, kLayout, part};
}

constexpr const char* kContextOfSlots =
    "llama.cpp's is shared by all slots; write --max-context TOKENS for one request's, and "
    "--kv-memory MIB for all together";
constexpr const char* kMemoryShare =
    "the KV cache is given in MiB: --kv-memory MIB; left out, it takes what it needs, a quarter of "
    "the free memory at most";
constexpr const char* kStepTokens =
    "write --prefill-chunk TOKENS: prompt tokens read a step, beside the tokens that are generated";
constexpr const char* kQuantization =
    "checkpoints load in the format that they have, FP8 too, so it can be left out; --weights "
    "int8|int4|fp8|bf16 requantises while loading";
constexpr const char* kKvType =
    "write --kv-cache auto|f32|bf16; auto, the default, goes by the model's weights";
constexpr const char* kKeys =
    "a command line can be seen by other users of the machine; write keys into a file, one a line, "
    "and --api-keys FILE";
constexpr const char* kParsers =
    "not needed: the model's own format of thoughts and tool calls is known; leave it out";
constexpr const char* kAutoTools =
    "not needed: tools are on wherever a request has some; leave it out";
constexpr const char* kRemoteCode = "not needed: no code of a checkpoint is ever run; leave it out";
constexpr const char* kRootPath =
    "not needed: no answer has a path of the server in it; have the proxy take its prefix off, and "
    "leave it out";
constexpr const char* kHub =
    "nothing is downloaded here; download the model first: hf download NAME --local-dir DIR, then "
    "--model DIR";
constexpr const char* kOrigins =
    "write --cors-origin ORIGIN,... in place of a list in JSON, * for all";
constexpr const char* kLauncher =
    "mpirun or srun starts the ranks, and says which is where (docs/deploy.md); leave it out";
constexpr const char* kDtype =
    "weights keep the numbers of the checkpoint; leave it out, or requantise with --weights";

// Parts of a layout that have no number.
constexpr const char* kSpreadExperts = "experts";
constexpr const char* kDataWithinTensor = "dp of tp";

constexpr std::array kOtherNames = {
    same("-m", "--model"),
    same("--model-path", "--model"),
    same("--max-model-len", "--max-context"),
    same("--context-length", "--max-context"),
    same("--served-model-name", "--model-name"),
    same("--max-num-seqs", "--max-running"),
    same("--max-running-requests", "--max-running"),
    same("-np", "--max-running"),
    same("-t", "--threads"),
    same("--ssl-keyfile", "--tls-key"),
    same("--ssl-certfile", "--tls-cert"),
    same("--ssl-key-file", "--tls-key"),
    same("--ssl-cert-file", "--tls-cert"),
    same("--block-size", "--kv-block-size"),
    same("--page-size", "--kv-block-size"),
    fixed("--enable-prefix-caching", "--prefix-cache", "on"),
    fixed("--no-enable-prefix-caching", "--prefix-cache", "off"),
    fixed("--disable-radix-cache", "--prefix-cache", "off"),
    differs("-c", kContextOfSlots),
    differs("--ctx-size", kContextOfSlots),
    differs("--gpu-memory-utilization", kMemoryShare),
    differs("--mem-fraction-static", kMemoryShare),
    differs("--max-num-batched-tokens", kStepTokens),
    differs("--chunked-prefill-size", kStepTokens),
    differs("--quantization", kQuantization),
    differs("-q", kQuantization),
    differs("--kv-cache-dtype", kKvType),
    differs("--api-key", kKeys),
    differs("--dtype", kDtype),
    differs("--allowed-origins", kOrigins),
    differs("--root-path", kRootPath),
    differs("--tool-call-parser", kParsers),
    differs("--reasoning-parser", kParsers),
    differs("-hf", kHub),
    differs("-hfr", kHub),
    differs("--hf-repo", kHub),
    differs("--nnodes", kLauncher),
    differs("--node-rank", kLauncher),
    differs("--dist-init-addr", kLauncher),
    differs_alone("--trust-remote-code", kRemoteCode),
    differs_alone("--enable-auto-tool-choice", kAutoTools),
    divides("--tensor-parallel-size", "tp"),
    divides("--tp", "tp"),
    divides("--tp-size", "tp"),
    divides("-tp", "tp"),
    divides("--pipeline-parallel-size", "pp"),
    divides("--pp", "pp"),
    divides("--pp-size", "pp"),
    divides("-pp", "pp"),
    divides("--data-parallel-size", "dp"),
    divides("--dp", "dp"),
    divides("--dp-size", "dp"),
    divides("-dp", "dp"),
    divides("--expert-parallel-size", "ep"),
    divides("--ep", "ep"),
    divides("--ep-size", "ep"),
    divides_alone("--enable-expert-parallel", kSpreadExperts),
    divides_alone("--enable-dp-attention", kDataWithinTensor),
};

constexpr int64_t kMostRanks = 4096;  // keeps products within 64 bits

std::optional<int64_t> ranks_of(const std::string& text) {
  int64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, failed] = std::from_chars(text.data(), end, count);
  if (failed != std::errc() || stopped != end || count < 1 || count > kMostRanks) {
    return std::nullopt;
  }
  return count;
}

}  // namespace

const OtherName* find_other_name(std::string_view name) {
  const auto* found = std::find_if(kOtherNames.begin(), kOtherNames.end(),
                                   [name](const OtherName& each) { return each.name == name; });
  return found == kOtherNames.end() ? nullptr : found;
}

std::string layout_advice(const std::vector<LayoutFlag>& flags) {
  std::map<std::string, int64_t> parts = {{"pp", 1}, {"dp", 1}, {"tp", 1}};
  std::string written;
  for (const LayoutFlag& flag : flags) {
    written += (written.empty() ? "" : ", ") + flag.name;
    if (flag.value.empty()) {
      parts[flag.layout] = 1;
      continue;
    }
    const auto count = ranks_of(flag.value);
    if (!count) {
      return fmt::format("{}: expected a number of ranks from 1 to {}, got {}", flag.name,
                         kMostRanks, flag.value);
    }
    parts[flag.layout] = *count;
  }
  if (parts.contains(kDataWithinTensor))
    parts["tp"] = std::max<int64_t>(1, parts["tp"] / parts["dp"]);
  const int64_t stage = parts["dp"] * parts["tp"];
  const int64_t ranks = parts["pp"] * stage;
  if (ranks == 1) return fmt::format("{}: one rank divides nothing; leave it out", written);
  std::string layout;
  for (const char* part : {"pp", "dp", "tp"}) {
    if (parts[part] > 1)
      layout += fmt::format("{}{}={}", layout.empty() ? "" : ",", part, parts[part]);
  }
  // Left out, experts are spread over all ranks of a stage.
  if (parts.contains("ep") && parts["ep"] != stage) layout += fmt::format(",ep={}", parts["ep"]);
  return fmt::format(
      "{}: write --parallel {}, and start {} ranks (docs/layouts.md): mpirun -n {} fathom serve "
      "...",
      written, layout, ranks, ranks);
}

std::optional<std::string> other_meaning(std::string_view key, const std::string& value) {
  if (key != "parallel" || !ranks_of(value)) return std::nullopt;
  return fmt::format(
      "--parallel {}: llama.cpp's is --max-running {} here; --parallel says how ranks divide the "
      "model, as in --parallel tp={} (docs/layouts.md)",
      value, value, value);
}

}  // namespace fathom::cli
