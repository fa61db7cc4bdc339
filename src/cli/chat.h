// `fathom chat`: a conversation in the terminal, with a running server or with a model it starts.
#pragma once

#include <string>

#include "cli/stack.h"

namespace fathom::cli {

struct ChatOptions {
  std::string url = "http://127.0.0.1:8000";
  std::string api_key;      // that the server at `url` wants, if any
  std::string ca_file;      // PEM certificates to trust; "": the system's
  StackOptions stack;       // with a model here, the chat serves it itself
  std::string model = {};   // name to ask the server for; "": its first one
  std::string system = {};  // system prompt
  bool thinking = true;
  double temperature = 0.6;  // what R1's card recommends
  int64_t max_tokens = 0;    // 0: as many as fit
};

// Talks until end of input or /quit. Returns the process's exit code.
int run_chat(const ChatOptions& options);

}  // namespace fathom::cli
