// For the tests: whether tokens are an answer that a request's grammar allows.
#pragma once

#include <vector>

#include "engine/request.h"
#include "grammar/compiled_grammar.h"

namespace fathom::api {

inline bool fits(const engine::Request& request, const std::vector<int32_t>& tokens) {
  if (request.grammar == nullptr) return true;
  grammar::Matcher matcher(request.grammar);
  for (const int32_t token : tokens) {
    if (!matcher.accept(token)) return false;
  }
  return matcher.can_end();
}

}  // namespace fathom::api
