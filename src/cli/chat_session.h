// One conversation over the chat completions API, apart from how it is shown.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/url.h"

namespace fathom::cli {

struct ServerAccess {
  net::Url url;         // base address
  std::string api_key;  // "": none
  std::string ca_file;  // net::ClientRequest's
};

struct ChatSettings {
  ServerAccess server;
  std::string model;
  bool thinking = true;
  double temperature = 0.6;
  int64_t max_tokens = 0;
};

// What a turn brought. `stopped` if the reader interrupted it.
struct Turn {
  std::string answer;
  int64_t completion_tokens = 0;
  bool stopped = false;
};

class ChatSession {
 public:
  ChatSession(ChatSettings settings, const std::string& system_prompt);

  // The first model the server offers.
  static Result<std::string> first_model(const ServerAccess& server);

  using OnText = std::function<void(std::string_view text, bool thought)>;
  // Sends the reader's words and streams the answer. `interrupted` is asked often; true stops the
  // answer, whose part so far stays in the conversation.
  Result<Turn> say(const std::string& words, const OnText& on_text,
                   const std::function<bool()>& interrupted);

  void forget();  // everything but the system prompt
  ChatSettings& settings() { return settings_; }

 private:
  std::string request_body() const;

  ChatSettings settings_;
  nlohmann::ordered_json system_;
  nlohmann::ordered_json messages_;
};

}  // namespace fathom::cli
