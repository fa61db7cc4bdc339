// What a gateway says to an engine.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "rpc/codec.h"

namespace fathom::rpc {
namespace {

using grammar::SourceKind;

constexpr std::array<std::pair<SourceKind, const char*>, 7> kSourceKinds = {{
    {SourceKind::kJsonObject, "json_object"},
    {SourceKind::kJsonSchema, "json_schema"},
    {SourceKind::kRegex, "regex"},
    {SourceKind::kEbnf, "ebnf"},
    {SourceKind::kChoice, "choice"},
    {SourceKind::kEnforceableSchema, "enforceable_schema"},
    {SourceKind::kRules, "rules"},
}};

void write_sampling(const engine::SamplingParams& from, wire::Sampling& to) {
  to.set_temperature(from.temperature);
  to.set_top_p(from.top_p);
  to.set_top_k(from.top_k);
  to.set_min_p(from.min_p);
  to.set_presence_penalty(from.presence_penalty);
  to.set_frequency_penalty(from.frequency_penalty);
  to.set_repetition_penalty(from.repetition_penalty);
  for (const auto& [token, bias] : from.logit_bias) {
    wire::TokenBias& entry = *to.add_logit_bias();
    entry.set_token(token);
    entry.set_bias(bias);
  }
  if (from.seed) to.set_seed(*from.seed);
  to.set_max_tokens(from.max_tokens);
  to.set_min_tokens(from.min_tokens);
  to.set_ignore_eos(from.ignore_eos);
  to.mutable_stop_token_ids()->Assign(from.stop_token_ids.begin(), from.stop_token_ids.end());
  if (from.logprobs) to.set_logprobs(*from.logprobs);
  if (from.prompt_logprobs) to.set_prompt_logprobs(*from.prompt_logprobs);
}

engine::SamplingParams read_sampling(const wire::Sampling& from) {
  engine::SamplingParams to;
  to.temperature = from.temperature();
  to.top_p = from.top_p();
  to.top_k = from.top_k();
  to.min_p = from.min_p();
  to.presence_penalty = from.presence_penalty();
  to.frequency_penalty = from.frequency_penalty();
  to.repetition_penalty = from.repetition_penalty();
  for (const wire::TokenBias& entry : from.logit_bias()) {
    to.logit_bias.emplace_back(entry.token(), entry.bias());
  }
  if (from.has_seed()) to.seed = from.seed();
  to.max_tokens = from.max_tokens();
  to.min_tokens = from.min_tokens();
  to.ignore_eos = from.ignore_eos();
  to.stop_token_ids.assign(from.stop_token_ids().begin(), from.stop_token_ids().end());
  if (from.has_logprobs()) to.logprobs = from.logprobs();
  if (from.has_prompt_logprobs()) to.prompt_logprobs = from.prompt_logprobs();
  return to;
}

void write_grammar(const grammar::GrammarSource& from, wire::GrammarSource& to) {
  for (const auto& [kind, name] : kSourceKinds) {
    if (kind == from.kind) to.set_kind(name);
  }
  to.set_text(from.text);
}

Result<grammar::GrammarSource> read_grammar(const wire::GrammarSource& from) {
  for (const auto& [kind, name] : kSourceKinds) {
    if (from.kind() == name) return grammar::GrammarSource{kind, from.text()};
  }
  return invalid_argument(fmt::format(
      "submit: expected a kind of grammar that this engine knows, got '{}'", from.kind()));
}

void write_submit(const Submit& from, wire::Submit& to) {
  const engine::Request& request = from.request;
  to.set_request(from.number);
  to.mutable_prompt()->Assign(request.prompt.begin(), request.prompt.end());
  if (request.generated_from) to.set_generated_from(*request.generated_from);
  write_sampling(request.sampling, *to.mutable_sampling());
  if (from.grammar) write_grammar(*from.grammar, *to.mutable_grammar());
  if (request.thought) {
    to.mutable_thought()->set_end(request.thought->end);
    if (request.thought->budget) to.mutable_thought()->set_budget(*request.thought->budget);
  }
  to.set_priority(request.priority);
  to.set_owner(request.owner);
  to.set_part_of(from.part_of);
  to.set_parts(request.parts);
  to.set_cache_salt(request.cache_salt);
  if (from.deadline) to.set_deadline_ms(from.deadline->count());
  to.set_trace_parent(from.trace_parent);
}

Result<ToEngine> read_submit(const wire::Submit& from) {
  if (!from.has_sampling()) {
    return invalid_argument(
        fmt::format("submit: expected request {} to say how to sample", from.request()));
  }
  Submit to;
  to.number = from.request();
  engine::Request& request = to.request;
  request.prompt.assign(from.prompt().begin(), from.prompt().end());
  if (from.has_generated_from()) request.generated_from = from.generated_from();
  request.sampling = read_sampling(from.sampling());
  if (from.has_grammar()) {
    FATHOM_ASSIGN(to.grammar, read_grammar(from.grammar()));
  }
  if (from.has_thought()) {
    request.thought = engine::Thought{.end = from.thought().end()};
    if (from.thought().has_budget()) request.thought->budget = from.thought().budget();
  }
  request.priority = from.priority();
  request.owner = from.owner();
  to.part_of = from.part_of();
  request.parts = from.parts();
  request.cache_salt = from.cache_salt();
  if (from.has_deadline_ms()) to.deadline = std::chrono::milliseconds(from.deadline_ms());
  to.trace_parent = from.trace_parent();
  return ToEngine(std::move(to));
}

}  // namespace

wire::ToEngine to_wire(const ToEngine& message) {
  wire::ToEngine to;
  if (const auto* hello = std::get_if<Hello>(&message)) {
    to.mutable_hello()->set_least_version(hello->least_version);
    to.mutable_hello()->set_greatest_version(hello->greatest_version);
    to.mutable_hello()->set_gateway(hello->gateway);
  } else if (const auto* submit = std::get_if<Submit>(&message)) {
    write_submit(*submit, *to.mutable_submit());
  } else if (const auto* cancel = std::get_if<Cancel>(&message)) {
    to.mutable_cancel()->set_request(cancel->number);
  }
  return to;
}

Result<ToEngine> from_wire(const wire::ToEngine& message) {
  switch (message.message_case()) {
    case wire::ToEngine::kHello:
      return ToEngine(Hello{message.hello().least_version(), message.hello().greatest_version(),
                            message.hello().gateway()});
    case wire::ToEngine::kSubmit:
      return read_submit(message.submit());
    case wire::ToEngine::kCancel:
      return ToEngine(Cancel{message.cancel().request()});
    case wire::ToEngine::MESSAGE_NOT_SET:
      break;
  }
  return invalid_argument("engine protocol: expected hello, submit or cancel, got another message");
}

}  // namespace fathom::rpc
