// One conversation over the chat completions API, apart from how it is shown.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/chat/save.h"
#include "net/url.h"

namespace fathom::cli {

struct ServerAccess {
  net::Url url;         // base address
  std::string api_key;  // "": none
  std::string ca_file;  // net::BlockingRequest's
};

struct ChatSettings {
  ServerAccess server;
  std::string model;
  bool thinking = true;
  double temperature = 0.6;
  int64_t max_tokens = 0;
};

// The result of a turn.
struct Turn {
  std::string answer;
  std::string thought;
  int64_t completion_tokens = 0;
  bool stopped = false;  // the reader interrupted it
  bool cut = false;      // it reached max_tokens, or the end of the context
};

class ChatSession {
 public:
  ChatSession(ChatSettings settings, std::string system_prompt)
      : settings_(std::move(settings)), system_(std::move(system_prompt)) {}

  // The first model the server offers.
  static Result<std::string> first_model(const ServerAccess& server);

  using OnText = std::function<void(std::string_view text, bool thought)>;
  // Sends the reader's words and streams the answer. `stop` is asked often; true ends the
  // answer, whose part so far stays in the conversation. After an error the words do not.
  Result<Turn> say(const std::string& words, const OnText& on_text,
                   const std::function<bool()>& stop);

  // Replaces the system prompt ("": none) and forgets the rest.
  void begin_anew(std::string system_prompt);
  void forget() { turns_.clear(); }  // everything but the system prompt

  const std::string& system_prompt() const { return system_; }
  // The system prompt, if there is one, and what was said.
  std::vector<ChatMessage> messages() const;
  bool said_nothing() const { return turns_.empty(); }
  ChatSettings& settings() { return settings_; }

 private:
  std::string request_body() const;

  ChatSettings settings_;
  std::string system_;
  std::vector<ChatMessage> turns_;
};

}  // namespace fathom::cli
