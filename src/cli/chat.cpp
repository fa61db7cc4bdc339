#include "cli/chat.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "cli/chat_session.h"
#include "cli/serve.h"

namespace fathom::cli {
namespace {

std::atomic<bool> g_interrupted{false};  // a signal handler has no other way to speak

void on_interrupt(int) {
  g_interrupted = true;
}

// Ctrl-C stops an answer; at the prompt it ends the chat (reading then fails with EINTR).
void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
}

constexpr const char* kHelp =
    "  /think     think before answering, or no longer\n"
    "  /reset     forget the conversation\n"
    "  /help      this list\n"
    "  /quit      leave (or Ctrl-D)\n"
    "  Ctrl-C stops an answer.\n";

// How text looks: thoughts dimmed, only where a terminal shows it and NO_COLOR is not set.
class Screen {
 public:
  Screen() : colours_(isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr) {}

  void prompt() { print(colours_ ? "\x1b[1m> \x1b[0m" : "> "); }
  void text(std::string_view text, bool thought) {
    if (thought != in_thought_) {
      if (in_thought_) print("\n\n");
      if (colours_) print(thought ? "\x1b[2m" : "\x1b[0m");
      in_thought_ = thought;
    }
    print(text);
  }
  void note(const std::string& text) {
    print(colours_ ? "\x1b[2m" + text + "\x1b[0m\n" : text + "\n");
  }
  void end_of_answer() {
    if (colours_) print("\x1b[0m");
    in_thought_ = false;
    print("\n");
  }

 private:
  static void print(std::string_view text) { std::cout << text << std::flush; }

  bool colours_;
  bool in_thought_ = false;
};

// Whether the line was a command; `done` if it ends the chat.
bool run_command(const std::string& line, ChatSession& session, Screen& screen, bool& done) {
  if (!line.starts_with("/")) return false;
  if (line == "/quit" || line == "/exit") {
    done = true;
  } else if (line == "/reset") {
    session.forget();
    screen.note("forgotten");
  } else if (line == "/think") {
    session.settings().thinking = !session.settings().thinking;
    screen.note(session.settings().thinking ? "thinking on" : "thinking off");
  } else {
    std::cout << kHelp;
  }
  return true;
}

void answer(const std::string& line, ChatSession& session, Screen& screen) {
  const auto begin = std::chrono::steady_clock::now();
  const auto turn = session.say(
      line, [&](std::string_view text, bool thought) { screen.text(text, thought); },
      [] { return g_interrupted.load(); });
  screen.end_of_answer();
  if (!turn) {
    screen.note(turn.error().message);
  } else if (turn->stopped) {
    screen.note("stopped");
  } else if (turn->completion_tokens > 0) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    screen.note(fmt::format("{} tokens, {:.1f} a second", turn->completion_tokens,
                            static_cast<double>(turn->completion_tokens) / spent.count()));
  }
}

void converse(ChatSession& session) {
  Screen screen;
  bool done = false;
  while (!done) {
    g_interrupted = false;
    screen.prompt();
    std::string line;
    if (!std::getline(std::cin, line)) break;
    if (line.empty() || run_command(line, session, screen, done)) continue;
    answer(line, session, screen);
  }
  std::cout << "\n";
}

}  // namespace

int run_chat(const ChatOptions& options) {
  std::unique_ptr<ServingStack> own;
  std::string url = options.url;
  if (!options.stack.model.empty()) {
    set_log_level(LogLevel::kWarning);
    ServeOptions serve;
    serve.stack = options.stack;
    serve.edge.port = 0;
    auto stack = build_stack(serve.stack);
    if (!stack) {
      log_error("{}", stack.error().message);
      return 1;
    }
    auto started = ServingStack::start(serve, std::move(stack).value(), {});
    if (!started) {
      log_error("{}", started.error().message);
      return 1;
    }
    own = std::move(*started);
    url = own->url();
  }
  const auto server = net::parse_url(url);
  if (!server) {
    log_error("--url: {}", server.error().message);
    return 1;
  }
  ChatSettings settings = {{*server, options.api_key, options.ca_file},
                           options.model,
                           options.thinking,
                           options.temperature,
                           options.max_tokens};
  if (settings.model.empty()) {
    auto model = ChatSession::first_model(settings.server);
    if (!model) {
      log_error("{}: {}; start one with: fathom serve --model DIR", url, model.error().message);
      return 1;
    }
    settings.model = *model;
  }
  catch_interrupts();
  fmt::print("{} at {}. /help for commands.\n", settings.model, url);
  ChatSession session(settings, options.system);
  converse(session);
  return 0;
}

}  // namespace fathom::cli
