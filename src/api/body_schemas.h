// The bodies that routes take, as JSON schemas made of the tables that check them.
#pragma once

#include "api/text/json_text.h"

namespace fathom::api {

Json chat_body();
Json completion_body();
Json responses_body();
Json messages_body();
Json message_count_body();
Json tokenize_body();
Json detokenize_body();

}  // namespace fathom::api
