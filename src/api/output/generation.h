// One API request's work in the engine: one engine request for each choice, their events turned
// into an Answer, and all of it cancelled when the client goes away.
#pragma once

#include <memory>
#include <vector>

#include "api/http/caller.h"
#include "api/http/metrics.h"
#include "api/http/request_record.h"
#include "api/output/answer.h"
#include "api/output/answer_memory.h"
#include "api/output/output_parser.h"
#include "engine/engine.h"
#include "net/http_app.h"

namespace fathom::api {

struct GenerationTools {
  engine::Engine& engine;
  const tokenizer::Tokenizer& tokenizer;
  const MarkerTable& markers;
  Metrics& metrics;
  AnswerMemory& answer_memory;
  const Caller& caller;
  bool share_prefix_cache = false;  // among owners
  std::shared_ptr<RequestRecord> record;
  bool wants_texts = false;  // in the record
};

struct ChoiceSpec {
  engine::Request request;
  OutputOptions output;
  bool counts_prompt = true;  // off for all but one choice of the same prompt
};

// Submits the choices in the caller's name and returns; `answer` is then given from the engine's
// thread. If one is refused the others are cancelled and the refusal is the answer: 403 for a
// priority that the caller may not ask for, what the memory for answers says of log-probabilities,
// else what the engine says. What comes of it is in the record before the answer's end.
void start_generation(const GenerationTools& tools, std::vector<ChoiceSpec> choices,
                      std::unique_ptr<Answer> answer, net::ResponseWriter& writer);

}  // namespace fathom::api
