// Bodies of requests. The first byte chooses the route.
#include <nlohmann/json.hpp>

#include "api/anthropic/request.h"
#include "api/responses/request.h"
#include "api/schema/chat.h"
#include "api/schema/completion.h"
#include "api/schema/tokenize.h"
#include "api/text/json_text.h"
#include "base/check.h"
#include "fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  if (size == 0) return 0;
  const auto body = api::parse_json(fuzz::as_text(data + 1, size - 1));
  if (!body) return 0;
  const auto again = api::parse_json(api::dump_json(*body));
  FATHOM_CHECK(again.ok(), "what was parsed is written as JSON");
  switch (data[0] % 6) {
    case 0:
      (void)api::read_chat_request(*body);
      break;
    case 1:
      (void)api::read_completion_request(*body);
      break;
    case 2:
      (void)api::read_tokenize_request(*body);
      break;
    case 3:
      (void)api::read_detokenize_request(*body);
      break;
    case 4:
      (void)api::responses::read_responses_request(*body);
      break;
    default:
      (void)api::anthropic::read_messages_request(*body, false);
  }
  return 0;
}
