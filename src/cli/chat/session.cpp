#include "cli/chat/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "net/client/blocking.h"
#include "net/sse.h"

namespace fathom::cli {

using nlohmann::ordered_json;

namespace {

net::BlockingRequest request_to(const ServerAccess& server, const std::string& target) {
  net::BlockingRequest request;
  request.url = server.url;
  request.url.target = target;
  request.ca_file = server.ca_file;
  if (!server.api_key.empty()) {
    request.headers.push_back({"Authorization", "Bearer " + server.api_key});
  }
  return request;
}

std::string text_of(const ordered_json& object, const char* name, const std::string& otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

// The server's error message, if there is one, and advice where we have some.
Error server_error(int status, const std::string& body) {
  const auto parsed = ordered_json::parse(body, nullptr, false);
  std::string message = fmt::format("the server answered {}", status);
  if (parsed.is_object() && parsed.contains("error") && parsed["error"].is_object()) {
    message = text_of(parsed["error"], "message", message);
  }
  if (status == 401) message += " (the key comes from the variable FATHOM_API_KEY, or --api-key)";
  return {ErrorCode::kUnavailable, message};
}

// An error of the connection.
Error network_error(const Error& error) {
  if (!error.message.starts_with("connect to ")) return error;
  return {error.code, error.message +
                          "; start a server there (fathom serve --model DIR), name another "
                          "(--url), or go without (fathom chat --model DIR)"};
}

Error no_answer() {
  return {ErrorCode::kDataCorrupt,
          "expected a stream of chat completions, got something else; does --url name a server of "
          "the OpenAI API?"};
}

// Takes streamed events apart: text to the screen, counts and errors to the turn.
class AnswerReader {
 public:
  AnswerReader(const ChatSession::OnText& on_text, Turn& turn) : on_text_(on_text), turn_(turn) {}

  bool feed(std::string_view bytes) {
    raw_.append(bytes.substr(0, std::min(bytes.size(), kKept - std::min(kKept, raw_.size()))));
    std::vector<net::SseEvent> events;
    if (!parser_.feed(bytes, events)) error_ = no_answer();
    for (const auto& event : events) take(event.data);
    return !error_;
  }

  const std::string& raw() const { return raw_; }
  const std::optional<Error>& error() const { return error_; }
  // Whether a chunk of a chat completion came.
  bool began() const { return began_; }

 private:
  static constexpr size_t kKept = 4096;  // of an answer that is no stream, to find its error

  void count(const ordered_json& usage) {
    const auto tokens = usage.find("completion_tokens");
    if (tokens == usage.end() || !tokens->is_number_integer()) return;
    turn_.completion_tokens = tokens->get<int64_t>();
  }

  void take(const std::string& data) {
    if (data == "[DONE]") return;
    const auto chunk = ordered_json::parse(data, nullptr, false);
    if (!chunk.is_object()) return;
    if (chunk.contains("error")) error_ = server_error(500, data);
    const auto usage = chunk.find("usage");
    if (usage != chunk.end() && usage->is_object()) count(*usage);
    const auto choices = chunk.find("choices");
    if (choices == chunk.end() || !choices->is_array()) return;
    began_ = true;
    if (choices->empty()) return;
    const auto& choice = choices->front();
    if (!choice.is_object() || !choice.contains("delta") || !choice["delta"].is_object()) return;
    const std::string thought = text_of(choice["delta"], "reasoning_content", "");
    const std::string answer = text_of(choice["delta"], "content", "");
    if (!thought.empty()) on_text_(thought, true);
    if (!answer.empty()) on_text_(answer, false);
    turn_.thought += thought;
    turn_.answer += answer;
    turn_.cut = turn_.cut || text_of(choice, "finish_reason", "") == "length";
  }

  const ChatSession::OnText& on_text_;
  Turn& turn_;
  net::SseParser parser_;
  std::string raw_;
  std::optional<Error> error_;
  bool began_ = false;
};

}  // namespace

void ChatSession::begin_anew(std::string system_prompt) {
  system_ = std::move(system_prompt);
  forget();
}

std::vector<ChatMessage> ChatSession::messages() const {
  std::vector<ChatMessage> all;
  if (!system_.empty()) all.push_back({"system", system_});
  all.insert(all.end(), turns_.begin(), turns_.end());
  return all;
}

Result<std::string> ChatSession::first_model(const ServerAccess& server) {
  const auto answer = net::request(request_to(server, "/v1/models"));
  if (!answer) return network_error(answer.error());
  if (answer->status != 200) return server_error(answer->status, answer->body);
  const auto body = ordered_json::parse(answer->body, nullptr, false);
  const auto* data = body.is_object() && body.contains("data") ? &body["data"] : nullptr;
  if (data == nullptr || !data->is_array() || data->empty() || !data->front().is_object()) {
    return Error{ErrorCode::kDataCorrupt, "/v1/models: expected a list of models"};
  }
  return text_of(data->front(), "id", "");
}

std::string ChatSession::request_body() const {
  // Thoughts stay out: models are not given their own again.
  auto list = ordered_json::array();
  for (const auto& message : messages()) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  ordered_json body = {{"model", settings_.model},
                       {"messages", std::move(list)},
                       {"stream", true},
                       {"stream_options", {{"include_usage", true}}},
                       {"temperature", settings_.temperature},
                       {"thinking", {{"type", settings_.thinking ? "enabled" : "disabled"}}}};
  if (settings_.max_tokens > 0) body["max_tokens"] = settings_.max_tokens;
  return body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Result<Turn> ChatSession::say(const std::string& words, const OnText& on_text,
                              const std::function<bool()>& stop) {
  turns_.push_back({"user", words});
  auto request = request_to(settings_.server, "/v1/chat/completions");
  request.method = "POST";
  request.headers.push_back({"Content-Type", "application/json"});
  request.body = request_body();
  request.cancelled = stop;

  Turn turn;
  AnswerReader reader(on_text, turn);
  const auto status =
      net::stream(request, [&](std::string_view bytes) { return reader.feed(bytes) && !stop(); });
  turn.stopped = stop();
  std::optional<Error> failed = reader.error();
  if (!status && !turn.stopped) failed = network_error(status.error());
  if (status && *status != 200) failed = server_error(*status, reader.raw());
  if (status && *status == 200 && !failed && !turn.stopped && !reader.began()) failed = no_answer();
  if (failed) {
    turns_.pop_back();
    return *failed;
  }
  turns_.push_back({"assistant", turn.answer, turn.thought});
  return turn;
}

}  // namespace fathom::cli
