// `fathom chat`: a conversation in the terminal, or one answer, from a running server or from a
// model it starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "serving/stack.h"

namespace fathom::cli {

struct ChatOptions {
  std::string url = "http://127.0.0.1:8000";
  std::string api_key;                     // that the server at `url` wants, if any
  std::string ca_file;                     // PEM certificates to trust; "": the system's
  serving::StackOptions stack;             // with a model here, the chat serves it itself
  std::string model = {};                  // name to ask the server for; "": its first one
  std::string system = {};                 // system prompt
  std::optional<bool> thinking = {};       // nothing: it thinks, but only a terminal shows it
  double temperature = 0.6;                // what R1's card recommends
  int64_t max_tokens = 0;                  // 0: as many as fit
  std::vector<std::string> question = {};  // words; with any the chat answers once
};

// Without a question, in a terminal, talks until Ctrl-D or /quit; otherwise answers once. Returns
// the process's exit code: 0 answered, 1 the server or the network failed, 2 usage error, 130 a
// single answer was interrupted.
int run_chat(const ChatOptions& options);

}  // namespace fathom::cli
