// What an engine says to a gateway.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "rpc/codec.h"

namespace fathom::rpc {
namespace {

using engine::FinishReason;

constexpr std::array<std::pair<FinishReason, wire::Finish>, 5> kFinishes = {{
    {FinishReason::kStop, wire::STOP},
    {FinishReason::kLength, wire::LENGTH},
    {FinishReason::kCancelled, wire::CANCELLED},
    {FinishReason::kError, wire::ERROR},
    {FinishReason::kRefused, wire::REFUSED},
}};

constexpr std::array kErrorCodes = {
    ErrorCode::kInvalidArgument,   ErrorCode::kNotFound,    ErrorCode::kUnsupported,
    ErrorCode::kResourceExhausted, ErrorCode::kUnavailable, ErrorCode::kCancelled,
    ErrorCode::kDataCorrupt,       ErrorCode::kIo,          ErrorCode::kInternal,
};

void write_manifest(const Manifest& from, wire::Manifest& to) {
  to.set_model(from.model);
  to.set_weights_digest(from.weights_digest);
  to.set_tokenizer_digest(from.tokenizer_digest);
  to.set_tokenizer_config_digest(from.tokenizer_config_digest);
  to.set_template_digest(from.template_digest);
  to.set_generation_config_digest(from.generation_config_digest);
  to.set_config_digest(from.config_digest);
  to.set_numerics_version(from.numerics_version);
  to.set_kernels(from.kernels);
  to.set_weight_format(from.weight_format);
  to.set_kv_format(from.kv_format);
  to.set_layout(from.layout);
  to.set_chip(from.chip);
  to.set_driver(from.driver);
  to.set_version(from.version);
  to.set_exact(from.exact);
}

Manifest read_manifest(const wire::Manifest& from) {
  return {.model = from.model(),
          .weights_digest = from.weights_digest(),
          .tokenizer_digest = from.tokenizer_digest(),
          .tokenizer_config_digest = from.tokenizer_config_digest(),
          .template_digest = from.template_digest(),
          .generation_config_digest = from.generation_config_digest(),
          .config_digest = from.config_digest(),
          .numerics_version = from.numerics_version(),
          .kernels = from.kernels(),
          .weight_format = from.weight_format(),
          .kv_format = from.kv_format(),
          .layout = from.layout(),
          .chip = from.chip(),
          .driver = from.driver(),
          .version = from.version(),
          .exact = from.exact()};
}

void write_welcome(const Welcome& from, wire::Welcome& to) {
  to.set_version(from.version);
  to.set_instance(from.instance);
  write_manifest(from.manifest, *to.mutable_manifest());
  to.set_vocab_size(from.vocab_size);
  to.set_max_context(from.max_context);
  to.set_max_running(from.max_running);
  to.set_kv_block_tokens(from.kv_block_tokens);
}

Welcome read_welcome(const wire::Welcome& from) {
  return {.version = from.version(),
          .instance = from.instance(),
          .manifest = read_manifest(from.manifest()),
          .vocab_size = from.vocab_size(),
          .max_context = from.max_context(),
          .max_running = from.max_running(),
          .kv_block_tokens = from.kv_block_tokens()};
}

void write_logprob(const engine::TokenLogprob& from, wire::TokenLogprob& to) {
  to.set_token(from.token);
  to.set_logprob(from.logprob);
  for (const auto& [token, logprob] : from.top) {
    to.add_top_tokens(token);
    to.add_top_logprobs(logprob);
  }
}

Result<engine::TokenLogprob> read_logprob(const wire::TokenLogprob& from) {
  if (from.top_tokens_size() != from.top_logprobs_size()) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("engine protocol: expected a log-probability for each of {} tokens, "
                             "got {}",
                             from.top_tokens_size(), from.top_logprobs_size())};
  }
  engine::TokenLogprob to{from.token(), from.logprob(), {}};
  to.top.reserve(static_cast<size_t>(from.top_tokens_size()));
  for (int i = 0; i < from.top_tokens_size(); ++i) {
    to.top.emplace_back(from.top_tokens(i), from.top_logprobs(i));
  }
  return to;
}

void write_failure(const Error& from, wire::Failure& to) {
  to.set_code(to_string(from.code));
  to.set_message(from.message);
  to.set_where(from.where);
}

Error read_failure(const wire::Failure& from) {
  for (const ErrorCode code : kErrorCodes) {
    if (from.code() == to_string(code)) return {code, from.message(), from.where()};
  }
  return {ErrorCode::kInternal, from.message(), from.where()};
}

void write_event(const RequestEvent& from, wire::Event& to) {
  const engine::Event& event = from.event;
  to.set_request(from.number);
  to.set_accepted(event.accepted);
  for (const engine::TokenLogprob& logprob : event.prompt_logprobs) {
    write_logprob(logprob, *to.add_prompt_logprobs());
  }
  if (event.token) {
    wire::Token& token = *to.add_tokens();
    token.set_token(*event.token);
    if (event.logprob) write_logprob(*event.logprob, *token.mutable_logprob());
  }
  for (const auto& [reason, finish] : kFinishes) {
    if (event.finish == reason) to.set_finish(finish);
  }
  if (event.stop_token) to.set_stop_token(*event.stop_token);
  if (event.error) write_failure(*event.error, *to.mutable_failure());
  wire::Usage& usage = *to.mutable_usage();
  usage.set_prompt_tokens(event.usage.prompt_tokens);
  usage.set_cached_tokens(event.usage.cached_tokens);
  usage.set_completion_tokens(event.usage.completion_tokens);
  if (event.queue_seconds) to.set_queue_seconds(*event.queue_seconds);
}

// The last of the wire's tokens carries what else the wire's event says; each before it is an
// event of its own.
Status read_event(const wire::Event& from, std::vector<RequestEvent>& to) {
  RequestEvent last{.number = from.request(), .event = {}};
  engine::Event& event = last.event;
  event.accepted = from.accepted();
  for (const wire::TokenLogprob& logprob : from.prompt_logprobs()) {
    FATHOM_ASSIGN(event.prompt_logprobs.emplace_back(), read_logprob(logprob));
  }
  event.usage = {from.usage().prompt_tokens(), from.usage().cached_tokens(),
                 from.usage().completion_tokens()};
  if (from.has_queue_seconds()) event.queue_seconds = from.queue_seconds();
  for (int i = 0; i < from.tokens_size(); ++i) {
    const wire::Token& token = from.tokens(i);
    event.token = token.token();
    event.logprob.reset();
    if (token.has_logprob()) {
      FATHOM_ASSIGN(event.logprob, read_logprob(token.logprob()));
    }
    if (i + 1 == from.tokens_size()) break;
    RequestEvent before = last;
    before.event.usage.completion_tokens -= from.tokens_size() - 1 - i;
    to.push_back(std::move(before));
    event.accepted = false;
    event.prompt_logprobs.clear();
    event.queue_seconds.reset();
  }
  for (const auto& [reason, finish] : kFinishes) {
    if (from.finish() == finish) event.finish = reason;
  }
  if (from.has_stop_token()) event.stop_token = from.stop_token();
  if (from.has_failure()) event.error = read_failure(from.failure());
  to.push_back(std::move(last));
  return {};
}

Result<FromEngine> read_step(const wire::Step& from) {
  StepEvents to{.step = from.step(), .events = {}};
  to.events.reserve(static_cast<size_t>(from.events_size()));
  for (const wire::Event& event : from.events()) FATHOM_TRY(read_event(event, to.events));
  return FromEngine(std::move(to));
}

void write_load(const Load& from, wire::Stats& to) {
  to.set_running(from.running);
  to.set_max_running(from.max_running);
  to.set_waiting(from.waiting);
  to.set_kv_blocks_total(from.kv_blocks_total);
  to.set_kv_blocks_used(from.kv_blocks_used);
  to.set_prompt_tokens(from.prompt_tokens);
  to.set_generated_tokens(from.generated_tokens);
  to.set_prefix_cache_queries(from.prefix_cache_queries);
  to.set_prefix_cache_hits(from.prefix_cache_hits);
  to.set_preemptions(from.preemptions);
}

Load read_load(const wire::Stats& from) {
  return {.running = from.running(),
          .max_running = from.max_running(),
          .waiting = from.waiting(),
          .kv_blocks_total = from.kv_blocks_total(),
          .kv_blocks_used = from.kv_blocks_used(),
          .prompt_tokens = from.prompt_tokens(),
          .generated_tokens = from.generated_tokens(),
          .prefix_cache_queries = from.prefix_cache_queries(),
          .prefix_cache_hits = from.prefix_cache_hits(),
          .preemptions = from.preemptions()};
}

}  // namespace

wire::FromEngine to_wire(const FromEngine& message) {
  wire::FromEngine to;
  if (const auto* welcome = std::get_if<Welcome>(&message)) {
    write_welcome(*welcome, *to.mutable_welcome());
  } else if (const auto* step = std::get_if<StepEvents>(&message)) {
    to.mutable_step()->set_step(step->step);
    for (const RequestEvent& event : step->events)
      write_event(event, *to.mutable_step()->add_events());
  } else if (const auto* beat = std::get_if<Heartbeat>(&message)) {
    to.mutable_heartbeat()->set_step(beat->step);
    to.mutable_heartbeat()->set_busy(beat->busy);
    to.mutable_heartbeat()->set_draining(beat->draining);
  } else if (const auto* load = std::get_if<Load>(&message)) {
    write_load(*load, *to.mutable_stats());
  }
  return to;
}

Result<FromEngine> from_wire(const wire::FromEngine& message) {
  switch (message.message_case()) {
    case wire::FromEngine::kWelcome:
      return FromEngine(read_welcome(message.welcome()));
    case wire::FromEngine::kStep:
      return read_step(message.step());
    case wire::FromEngine::kHeartbeat:
      return FromEngine(Heartbeat{message.heartbeat().step(), message.heartbeat().busy(),
                                  message.heartbeat().draining()});
    case wire::FromEngine::kStats:
      return FromEngine(read_load(message.stats()));
    case wire::FromEngine::MESSAGE_NOT_SET:
      break;
  }
  return Error{ErrorCode::kDataCorrupt,
               "engine protocol: expected welcome, step, heartbeat or stats, got another message"};
}

}  // namespace fathom::rpc
