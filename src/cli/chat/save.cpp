#include "cli/chat/save.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

namespace fathom::cli {
namespace {

std::string heading(const std::string& model, const std::string& role) {
  if (role == "system") return "System";
  return role == "user" ? "You" : model;
}

std::string as_quote(std::string_view text) {
  std::string quote;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    quote += line.empty() ? ">\n" : fmt::format("> {}\n", line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return quote;
}

std::filesystem::path with_home(const std::string& file) {
  const char* home = std::getenv("HOME");
  if (!file.starts_with("~/") || home == nullptr) return file;
  return std::filesystem::path(home) / file.substr(2);
}

Error save_error(const std::filesystem::path& path, int code) {
  return {ErrorCode::kIo,
          fmt::format("{}: {}", path.string(), std::generic_category().message(code))};
}

// 0, or an error's number.
int write_whole(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

}  // namespace

std::string conversation_markdown(const std::string& model,
                                  const std::vector<ChatMessage>& messages) {
  std::string text = fmt::format("# Chat with {}\n", model);
  for (const auto& message : messages) {
    text += fmt::format("\n## {}\n\n", heading(model, message.role));
    if (!message.thought.empty()) text += as_quote(message.thought) + "\n";
    text += message.content;
    if (!text.ends_with('\n')) text += '\n';
  }
  return text;
}

std::string conversation_json(const std::string& model, const std::vector<ChatMessage>& messages) {
  using nlohmann::ordered_json;
  auto list = ordered_json::array();
  for (const auto& message : messages) {
    ordered_json one = {{"role", message.role}, {"content", message.content}};
    if (!message.thought.empty()) one["reasoning_content"] = message.thought;
    list.push_back(std::move(one));
  }
  const ordered_json body = {{"model", model}, {"messages", std::move(list)}};
  return body.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Status save_conversation(const std::string& file, const std::string& model,
                         const std::vector<ChatMessage>& messages) {
  const std::filesystem::path path = with_home(file);
  const std::string extension = path.extension().string();
  if (extension != ".md" && extension != ".json") {
    return invalid_argument(
        fmt::format("{}: expected a name that ends in .md or .json", path.string()));
  }
  const std::string text = extension == ".json" ? conversation_json(model, messages)
                                                : conversation_markdown(model, messages);
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0 && errno == EEXIST) {
    return invalid_argument(
        fmt::format("{} exists and is left as it is; give another name", path.string()));
  }
  if (descriptor < 0) return save_error(path, errno);
  int failed = write_whole(descriptor, text);
  if (close(descriptor) != 0 && failed == 0) failed = errno;
  if (failed == 0) return {};
  unlink(path.c_str());
  return save_error(path, failed);
}

}  // namespace fathom::cli
