#include "cli/chat_session.h"

#include <fmt/format.h>

#include "net/http_client.h"
#include "net/sse.h"

namespace fathom::cli {

using nlohmann::ordered_json;

namespace {

net::ClientRequest request_to(const ServerAccess& server, const std::string& target) {
  net::ClientRequest request;
  request.url = server.url;
  request.url.target = target;
  request.ca_file = server.ca_file;
  if (!server.api_key.empty()) {
    request.headers.push_back({"Authorization", "Bearer " + server.api_key});
  }
  return request;
}

// The server's own words for what went wrong, if it said any.
Error server_error(int status, const std::string& body) {
  const auto parsed = ordered_json::parse(body, nullptr, false);
  std::string message = fmt::format("the server answered {}", status);
  if (parsed.is_object() && parsed.contains("error") && parsed["error"].is_object()) {
    message = parsed["error"].value("message", message);
  }
  return {ErrorCode::kUnavailable, message};
}

std::string text_of(const ordered_json& delta, const char* name) {
  const auto found = delta.find(name);
  return found != delta.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Takes streamed events apart: text to the screen, counts and errors to the turn.
class AnswerReader {
 public:
  AnswerReader(const ChatSession::OnText& on_text, Turn& turn) : on_text_(on_text), turn_(turn) {}

  bool feed(std::string_view bytes) {
    raw_.append(bytes.substr(0, std::min(bytes.size(), kKept - std::min(kKept, raw_.size()))));
    std::vector<net::SseEvent> events;
    if (!parser_.feed(bytes, events)) return false;
    for (const auto& event : events) take(event.data);
    return true;
  }

  const std::string& raw() const { return raw_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  static constexpr size_t kKept = 4096;  // of an answer that is no stream, to find its error

  void take(const std::string& data) {
    if (data == "[DONE]") return;
    const auto chunk = ordered_json::parse(data, nullptr, false);
    if (!chunk.is_object()) return;
    if (chunk.contains("error")) error_ = server_error(500, data);
    if (chunk.contains("usage") && chunk["usage"].is_object()) {
      turn_.completion_tokens = chunk["usage"].value("completion_tokens", int64_t{0});
    }
    const auto choices = chunk.find("choices");
    if (choices == chunk.end() || !choices->is_array() || choices->empty()) return;
    const auto& choice = choices->front();
    if (!choice.is_object() || !choice.contains("delta") || !choice["delta"].is_object()) return;
    const std::string thought = text_of(choice["delta"], "reasoning_content");
    const std::string answer = text_of(choice["delta"], "content");
    if (!thought.empty()) on_text_(thought, true);
    if (!answer.empty()) on_text_(answer, false);
    turn_.answer += answer;
  }

  const ChatSession::OnText& on_text_;
  Turn& turn_;
  net::SseParser parser_;
  std::string raw_;
  std::optional<Error> error_;
};

}  // namespace

ChatSession::ChatSession(ChatSettings settings, const std::string& system_prompt)
    : settings_(std::move(settings)), system_(ordered_json::array()) {
  if (!system_prompt.empty()) {
    system_.push_back({{"role", "system"}, {"content", system_prompt}});
  }
  forget();
}

void ChatSession::forget() {
  messages_ = system_;
}

Result<std::string> ChatSession::first_model(const ServerAccess& server) {
  FATHOM_ASSIGN(const net::HttpResponse answer, net::request(request_to(server, "/v1/models")));
  if (answer.status != 200) return server_error(answer.status, answer.body);
  const auto body = ordered_json::parse(answer.body, nullptr, false);
  const auto* data = body.is_object() && body.contains("data") ? &body["data"] : nullptr;
  if (data == nullptr || !data->is_array() || data->empty() || !data->front().is_object()) {
    return Error{ErrorCode::kDataCorrupt, "/v1/models: expected a list of models"};
  }
  return data->front().value("id", std::string());
}

std::string ChatSession::request_body() const {
  ordered_json body = {{"model", settings_.model},
                       {"messages", messages_},
                       {"stream", true},
                       {"stream_options", {{"include_usage", true}}},
                       {"temperature", settings_.temperature},
                       {"thinking", {{"type", settings_.thinking ? "enabled" : "disabled"}}}};
  if (settings_.max_tokens > 0) body["max_tokens"] = settings_.max_tokens;
  return body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Result<Turn> ChatSession::say(const std::string& words, const OnText& on_text,
                              const std::function<bool()>& interrupted) {
  messages_.push_back({{"role", "user"}, {"content", words}});
  auto request = request_to(settings_.server, "/v1/chat/completions");
  request.method = "POST";
  request.headers.push_back({"Content-Type", "application/json"});
  request.body = request_body();
  request.cancelled = interrupted;

  Turn turn;
  AnswerReader reader(on_text, turn);
  const auto status = net::stream(
      request, [&](std::string_view bytes) { return reader.feed(bytes) && !interrupted(); });
  turn.stopped = interrupted();
  std::optional<Error> failed = reader.error();
  if (!status && !turn.stopped) failed = status.error();
  if (status && *status != 200) failed = server_error(*status, reader.raw());
  if (failed) {
    messages_.erase(messages_.size() - 1);
    return *failed;
  }
  messages_.push_back({{"role", "assistant"}, {"content", turn.answer}});
  return turn;
}

}  // namespace fathom::cli
