// One API request's work in the engine: one engine request for each choice, their events turned
// into an Answer, and all of it cancelled when the client goes away.
#pragma once

#include <memory>
#include <vector>

#include "api/answer.h"
#include "api/metrics.h"
#include "api/output_parser.h"
#include "engine/engine.h"
#include "net/http_server.h"

namespace fathom::api {

struct GenerationTools {
  engine::Engine& engine;
  const tokenizer::Tokenizer& tokenizer;
  const MarkerTable& markers;
  Metrics& metrics;
};

struct ChoiceSpec {
  engine::Request request;
  OutputOptions output;
  bool counts_prompt = true;  // off for all but one choice of the same prompt
};

// Submits the choices and returns; `answer` is then given from the engine's thread. If one is
// refused the others are cancelled and the refusal is the answer.
void start_generation(const GenerationTools& tools, std::vector<ChoiceSpec> choices,
                      std::unique_ptr<Answer> answer, net::ResponseWriter& writer);

}  // namespace fathom::api
