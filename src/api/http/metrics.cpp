#include "api/http/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <mutex>
#include <sstream>

#include "api/http/owner_metrics.h"
#include "api/http/process_metrics.h"

namespace fathom::api {

namespace {

using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

const Buckets kFirstTokenBuckets = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08,
                                    0.1,   0.25,  0.5,  0.75, 1,    2.5,  5,
                                    7.5,   10,    20,   40,   80,   160,  640};
const Buckets kTokenBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                               0.3,   0.4,    0.5,   0.75, 1,     2.5,  5,     7.5, 10};
const Buckets kRequestBuckets = {0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,
                                 10,   15,   20,  30,  40,  50,  60, 120, 240, 480, 960};

#if defined(__clang__)
constexpr const char* kCompiler = __VERSION__;  // begins with its name
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

}  // namespace

struct Metrics::Impl {
  explicit Impl(const MetricsOptions& options)
      : model{{"model_name", options.model}}, each_expert(options.each_expert) {
    max_waiting.Set(static_cast<double>(options.max_waiting));
    max_context.Set(static_cast<double>(options.max_context));
    prometheus::BuildGauge()
        .Name("fathom_build_info")
        .Help("What this program is; always 1.")
        .Register(registry)
        .Add({{"version", options.version}, {"compiler", kCompiler}})
        .Set(1);
  }

  Histogram& histogram(const std::string& name, const std::string& help, const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(model,
                                                                                     buckets);
  }
  prometheus::Gauge& gauge(const std::string& name, const std::string& help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(model);
  }
  prometheus::Counter& counter(const std::string& name, const std::string& help,
                               const prometheus::Labels& labels = {}) {
    prometheus::Labels all = model;
    all.insert(labels.begin(), labels.end());
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(all);
  }

  void show(const models::LayerLoads& layer);
  void show(const models::ExpertExchanges& exchanges);

  // KV blocks between engines, in one direction.
  struct TransferCounters {
    TransferCounters(Impl& impl, const char* direction) {
      const prometheus::Labels labels = {{"direction", direction}};
      transfers = &impl.counter("fathom_kv_transfers_total",
                                "Prompts whose KV blocks went from one engine to another.", labels);
      blocks = &impl.counter("fathom_kv_transfer_blocks_total", "KV blocks in them.", labels);
      bytes =
          &impl.counter("fathom_kv_transfer_bytes_total", "Bytes of KV blocks in them.", labels);
      seconds = &impl.counter("fathom_kv_transfer_seconds_total",
                              "Time they took, computing included.", labels);
      for (size_t i = 0; i < failures.size(); ++i) {
        prometheus::Labels with_reason = labels;
        with_reason["reason"] = to_string(static_cast<engine::KvFailure>(i));
        failures[i] = &impl.counter("fathom_kv_transfer_failures_total",
                                    "Those that ended early, by the reason.", with_reason);
      }
    }

    prometheus::Counter* transfers = nullptr;
    prometheus::Counter* blocks = nullptr;
    prometheus::Counter* bytes = nullptr;
    prometheus::Counter* seconds = nullptr;
    std::array<prometheus::Counter*, engine::kKvFailures> failures = {};
  };

  const prometheus::Labels model;
  const bool each_expert;
  prometheus::Registry registry;
  std::mutex page_mutex;  // the engine's counts are copied by one thread at a time

  prometheus::Gauge& running =
      gauge("fathom_num_requests_running", "Requests that the engine works on.");
  prometheus::Gauge& waiting =
      gauge("fathom_num_requests_waiting", "Requests that wait for the engine.");
  prometheus::Gauge& kv_usage =
      gauge("fathom_kv_cache_usage_perc", "Share of the KV blocks in use; 1 is all of them.");
  prometheus::Gauge& max_running =
      gauge("fathom_max_requests_running", "Requests that the engine works on at most.");
  prometheus::Gauge& max_waiting =
      gauge("fathom_max_requests_waiting", "Requests that may wait for the engine, of each owner.");
  prometheus::Gauge& kv_blocks = gauge("fathom_kv_blocks", "KV blocks there are.");
  prometheus::Gauge& max_context =
      gauge("fathom_max_context_tokens", "Tokens that a prompt and its answer may have.");
  prometheus::Counter& prompt_tokens =
      counter("fathom_prompt_tokens_total", "Prompt tokens processed.");
  prometheus::Counter& generation_tokens =
      counter("fathom_generation_tokens_total", "Tokens generated.");
  prometheus::Counter& prefix_queries =
      counter("fathom_prefix_cache_queries_total", "Prompt tokens looked for in the prefix cache.");
  prometheus::Counter& prefix_hits =
      counter("fathom_prefix_cache_hits_total", "Prompt tokens found in the prefix cache.");
  prometheus::Counter& drafts =
      counter("fathom_spec_decode_num_drafts_total", "Steps of a request with draft tokens.");
  prometheus::Counter& draft_tokens =
      counter("fathom_spec_decode_num_draft_tokens_total", "Tokens drafted and checked.");
  prometheus::Counter& accepted_tokens =
      counter("fathom_spec_decode_num_accepted_tokens_total", "Drafted tokens that were right.");
  prometheus::Counter& preemptions =
      counter("fathom_num_preemptions_total", "Requests set back because KV blocks ran out.");
  prometheus::Counter& steps = counter("fathom_steps_total", "Steps of the model.");
  prometheus::Counter& steps_ahead =
      counter("fathom_steps_ahead_total", "Steps that began while the one before them ran.");
  prometheus::Counter& surplus_rows = counter(
      "fathom_surplus_rows_total", "Rows of such steps for requests that had ended by then.");
  prometheus::Counter& copied_to_host =
      counter("fathom_copied_to_host_bytes_total", "Bytes that the chip copied to the host.");
  Histogram& first_token = histogram("fathom_time_to_first_token_seconds",
                                     "From the request to its first token.", kFirstTokenBuckets);
  Histogram& inter_token =
      histogram("fathom_inter_token_latency_seconds", "Between two tokens.", kTokenBuckets);
  Histogram& total = histogram("fathom_e2e_request_latency_seconds", "From the request to its end.",
                               kRequestBuckets);
  Histogram& queue = histogram("fathom_request_queue_time_seconds",
                               "From the request to its first step.", kRequestBuckets);
  Histogram& prefill = histogram("fathom_request_prefill_time_seconds",
                                 "From the first step to the first token.", kRequestBuckets);
  Histogram& decode = histogram("fathom_request_decode_time_seconds",
                                "From the first token to the end.", kRequestBuckets);
  TransferCounters kv_sent{*this, "sent"};
  TransferCounters kv_fetched{*this, "fetched"};
  prometheus::Family<prometheus::Counter>& finished = prometheus::BuildCounter()
                                                          .Name("fathom_request_success_total")
                                                          .Help("Finished requests by the reason.")
                                                          .Register(registry);
  prometheus::Family<prometheus::Gauge>& rank_imbalance =
      prometheus::BuildGauge()
          .Name("fathom_expert_rank_imbalance")
          .Help("Tokens for the experts of the busiest rank over the ranks' mean, lately.")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& expert_imbalance =
      prometheus::BuildGauge()
          .Name("fathom_expert_imbalance")
          .Help("Tokens of the busiest expert over the experts' mean.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& expert_tokens =
      prometheus::BuildCounter()
          .Name("fathom_expert_tokens_total")
          .Help("Tokens that chose each expert (with --expert-metrics).")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& expert_exchanges =
      prometheus::BuildCounter()
          .Name("fathom_expert_exchanges_total")
          .Help("Times that rows met the experts of several ranks in a layer, by the way taken.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& http = prometheus::BuildCounter()
                                                      .Name("fathom_http_requests_total")
                                                      .Help("HTTP answers by route and status.")
                                                      .Register(registry);
  OwnerMetrics owners{registry};
  ProcessMetrics process{registry};
};

namespace {

void observe(Histogram& histogram, const std::optional<double>& seconds) {
  if (seconds) histogram.Observe(*seconds);
}

void catch_up(prometheus::Counter& counter, double total) {
  const double behind = total - counter.Value();
  if (behind > 0) counter.Increment(behind);
}
void catch_up(prometheus::Counter& counter, uint64_t total) {
  catch_up(counter, static_cast<double>(total));
}

template <typename Counters>
void catch_up(Counters& counters, const engine::KvTransferStats& stats) {
  catch_up(*counters.transfers, stats.transfers);
  catch_up(*counters.blocks, stats.blocks);
  catch_up(*counters.bytes, stats.bytes);
  catch_up(*counters.seconds, stats.seconds);
  for (size_t i = 0; i < stats.failures.size(); ++i) {
    catch_up(*counters.failures[i], stats.failures[i]);
  }
}

}  // namespace

void Metrics::Impl::show(const models::ExpertExchanges& exchanges) {
  if (exchanges.way.empty()) return;
  prometheus::Labels labels = model;
  labels["way"] = std::string(exchanges.way);
  catch_up(expert_exchanges.Add(labels), exchanges.count);
}

void Metrics::Impl::show(const models::LayerLoads& layer) {
  prometheus::Labels labels = model;
  labels["layer"] = std::to_string(layer.layer);
  rank_imbalance.Add(labels).Set(layer.rank_imbalance);
  expert_imbalance.Add(labels).Set(layer.expert_imbalance());
  if (!each_expert) return;
  for (size_t expert = 0; expert < layer.tokens.size(); ++expert) {
    labels["expert"] = std::to_string(expert);
    catch_up(expert_tokens.Add(labels), layer.tokens[expert]);
  }
}

Metrics::Metrics(const MetricsOptions& options) : impl_(std::make_unique<Impl>(options)) {
  for (const char* reason : {"stop", "length", "tool_calls", "abort", "error"}) {
    impl_->finished.Add({{"model_name", options.model}, {"finished_reason", reason}});
  }
}

Metrics::~Metrics() = default;

void Metrics::count_http(const std::string& route, int status) {
  impl_->http.Add({{"route", route}, {"status", std::to_string(status)}}).Increment();
}

void Metrics::request_ended(const RequestRecord& record) {
  impl_->owners.count(record);
}

void Metrics::first_token_after(double seconds) {
  impl_->first_token.Observe(seconds);
}

void Metrics::next_token_after(double seconds) {
  impl_->inter_token.Observe(seconds);
}

void Metrics::finished(const std::string& reason, const GenerationTimes& times) {
  prometheus::Labels labels = impl_->model;
  labels["finished_reason"] = reason;
  impl_->finished.Add(labels).Increment();
  impl_->total.Observe(times.total);
  observe(impl_->queue, times.queue);
  observe(impl_->prefill, times.prefill);
  observe(impl_->decode, times.decode);
}

std::string Metrics::page(const engine::EngineStats& stats, const engine::KvTransferStats& sent) {
  const std::lock_guard lock(impl_->page_mutex);
  impl_->running.Set(static_cast<double>(stats.running));
  impl_->waiting.Set(static_cast<double>(stats.waiting));
  impl_->max_running.Set(static_cast<double>(stats.max_running));
  const auto blocks = static_cast<double>(stats.kv_blocks_total);
  impl_->kv_blocks.Set(blocks);
  impl_->kv_usage.Set(blocks > 0 ? static_cast<double>(stats.kv_blocks_used) / blocks : 0);
  catch_up(impl_->prompt_tokens, stats.prompt_tokens);
  catch_up(impl_->generation_tokens, stats.generated_tokens);
  catch_up(impl_->prefix_queries, stats.prefix_cache_queries);
  catch_up(impl_->prefix_hits, stats.prefix_cache_hits);
  catch_up(impl_->drafts, stats.drafts);
  catch_up(impl_->draft_tokens, stats.draft_tokens);
  catch_up(impl_->accepted_tokens, stats.accepted_draft_tokens);
  catch_up(impl_->preemptions, stats.preemptions);
  catch_up(impl_->steps, stats.steps);
  catch_up(impl_->steps_ahead, stats.steps_ahead);
  catch_up(impl_->surplus_rows, stats.surplus_rows);
  catch_up(impl_->copied_to_host, stats.copied_to_host);
  if (stats.expert_loads) {
    for (const models::LayerLoads& layer : *stats.expert_loads) impl_->show(layer);
  }
  impl_->show(stats.expert_exchanges);
  catch_up(impl_->kv_fetched, stats.kv_fetched);
  catch_up(impl_->kv_sent, sent);
  impl_->process.refresh();
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, impl_->registry.Collect());
  return text.str();
}

}  // namespace fathom::api
