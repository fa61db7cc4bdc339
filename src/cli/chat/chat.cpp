#include "cli/chat/chat.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <system_error>

#include "base/log.h"
#include "cli/chat/command.h"
#include "cli/chat/history.h"
#include "cli/chat/prompt.h"
#include "cli/chat/screen.h"
#include "cli/chat/session.h"
#include "cli/chat/terminal.h"
#include "cli/serve/serve.h"

namespace fathom::cli {

namespace {

constexpr int kAnswered = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kInterruptedByUser = 130;

constexpr size_t kMaxPipedBytes = 32 << 20;  // a server's --max-body

// Ends with a line on standard error.
int end_with(int code, const std::string& text) {
  fmt::print(stderr, "fathom: {}\n", text);
  return code;
}

// All of standard input.
Result<std::string> read_piped() {
  std::string text;
  char buffer[65536];
  while (text.size() <= kMaxPipedBytes) {
    const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return Error{ErrorCode::kIo, "standard input: " + std::generic_category().message(errno)};
    }
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
  }
  return invalid_argument(
      fmt::format("standard input: expected {} MiB at most", kMaxPipedBytes >> 20));
}

// What to ask: the words, and the text behind them.
std::string one_question(const std::vector<std::string>& words, std::string piped) {
  piped.erase(piped.find_last_not_of("\r\n") + 1);
  std::string asked = fmt::format("{}", fmt::join(words, " "));
  if (!asked.empty() && !piped.empty()) asked += "\n\n";
  return asked + piped;
}

bool says_nothing(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

struct Answered {
  Result<Turn> turn;
  double seconds;
};

Answered ask(const std::string& words, ChatSession& session, ChatScreen& screen,
             const std::function<bool()>& stop) {
  const auto begin = std::chrono::steady_clock::now();
  const auto show = [&](std::string_view text, bool thought) { screen.text(text, thought); };
  auto turn = session.say(words, show, stop);
  screen.end_of_answer();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  return {std::move(turn), spent.count()};
}

constexpr const char* kCut = "cut off: --max-tokens, or the model's context, is reached";

int answer_once(const std::string& question, ChatSession& session, ChatScreen& screen) {
  const auto answered =
      ask(question, session, screen, [&] { return interrupted() || screen.failed(); });
  if (screen.failed()) return end_with(kFailed, "standard output cannot be written to");
  if (!answered.turn) return end_with(kFailed, answered.turn.error().message);
  if (answered.turn->stopped) return kInterruptedByUser;
  return answered.turn->cut ? end_with(kAnswered, kCut) : kAnswered;
}

// A conversation at a prompt.
class Conversation {
 public:
  Conversation(ChatSession& session, ChatScreen& screen)
      : session_(session),
        screen_(screen),
        history_(history_file()),
        prompt_(terminal_, history_, screen.looks().colours) {}

  void run() {
    while (!done_ && !screen_.failed()) {
      const ChatInput input = prompt_.read();
      if (input.end == ChatInput::End::kFinished) return;
      if (input.end == ChatInput::End::kInterrupted) screen_.note("Ctrl-D or /quit leaves");
      if (input.end == ChatInput::End::kEntered && !says_nothing(input.text)) take(input.text);
    }
  }

 private:
  void take(const std::string& text) {
    if (const auto kept = history_.add(text); !kept) screen_.note(kept.error().message);
    const auto line = parse_chat_line(text);
    if (!line) {
      screen_.error(line.error().message);
    } else if (line->action == ChatAction::kSay) {
      say(line->text.value_or(""));
    } else {
      obey(*line);
    }
  }

  void say(const std::string& words) {
    const auto answered = ask(words, session_, screen_, [this] {
      prompt_.take_type_ahead();
      return interrupted();
    });
    if (interrupted()) prompt_.drop_type_ahead();
    forget_interrupt();
    if (!answered.turn) {
      screen_.error(answered.turn.error().message);
    } else if (answered.turn->stopped) {
      screen_.note("stopped");
    } else {
      tell(*answered.turn, answered.seconds);
    }
  }

  void tell(const Turn& turn, double seconds) {
    const std::string speed = fmt::format("{} tokens, {:.1f} a second", turn.completion_tokens,
                                          static_cast<double>(turn.completion_tokens) / seconds);
    if (turn.cut) screen_.note(kCut);
    if (turn.completion_tokens > 0) screen_.note(speed);
  }

  void obey(const ChatLine& line) {
    switch (line.action) {
      case ChatAction::kSystem:
        return use_system_prompt(line.text);
      case ChatAction::kThink:
        session_.settings().thinking = !session_.settings().thinking;
        return screen_.note(session_.settings().thinking ? "it thinks before it answers"
                                                         : "it answers without thinking");
      case ChatAction::kReset:
        session_.forget();
        return screen_.note(session_.system_prompt().empty()
                                ? "forgotten"
                                : "forgotten, but for the system prompt");
      case ChatAction::kSave:
        return save(line.text.value_or(""));
      case ChatAction::kQuit:
        done_ = true;
        return;
      case ChatAction::kHelp:
      case ChatAction::kSay:
        return help();
    }
  }

  void use_system_prompt(const std::optional<std::string>& text) {
    if (text) {
      session_.begin_anew(*text);
      screen_.note(text->empty() ? "no system prompt; the conversation begins anew"
                                 : "the conversation begins anew with this system prompt");
    } else if (session_.system_prompt().empty()) {
      screen_.note("no system prompt; /system TEXT gives one");
    } else {
      screen_.note(session_.system_prompt());
    }
  }

  void save(const std::string& file) {
    if (session_.said_nothing()) return screen_.error("nothing to save yet");
    const auto saved = save_conversation(file, session_.settings().model, session_.messages());
    if (!saved) return screen_.error("not saved: " + saved.error().message);
    screen_.note("saved to " + file);
  }

  void help() {
    screen_.note(chat_commands() +
                 "A line that ends in a backslash goes on, and so does one that Alt-Enter ends.\n"
                 "Up and Down find what was typed before; Ctrl-C stops an answer.");
  }

  ChatSession& session_;
  ChatScreen& screen_;
  ChatTerminal terminal_;
  ChatHistory history_;
  ChatPrompt prompt_;
  bool done_ = false;
};

// The server to talk to: one that runs, or this process's own, which `own` then holds.
Result<std::string> find_server(const ChatOptions& options, std::unique_ptr<ServingStack>& own) {
  if (options.stack.model.empty()) return options.url;
  set_log_level(LogLevel::kWarning);
  ServeOptions serve;
  serve.stack = options.stack;
  serve.edge.port = 0;
  FATHOM_ASSIGN(auto stack, serving::build_stack(serve.stack));
  FATHOM_ASSIGN(own, ServingStack::start(serve, std::move(stack), {}));
  return own->url();
}

// A question, if this is to answer only one; nothing: a conversation. Errors of usage are
// kInvalidArgument.
Result<std::optional<std::string>> question_of(const ChatOptions& options) {
  const bool piped = isatty(STDIN_FILENO) == 0;
  if (!piped && options.question.empty()) {
    if (isatty(STDOUT_FILENO) != 0) return std::optional<std::string>();
    return invalid_argument(
        "chat: a conversation needs a terminal to write to; for one answer give a question, as in "
        "fathom chat \"...\" > FILE");
  }
  std::string text;
  if (piped) {
    FATHOM_ASSIGN(text, read_piped());
  }
  const std::string question = one_question(options.question, std::move(text));
  if (says_nothing(question)) {
    return invalid_argument(
        "chat: expected a question, got none: neither as an argument nor on "
        "standard input");
  }
  return std::optional(question);
}

Result<ChatSettings> settings_of(const ChatOptions& options, const net::Url& url) {
  ChatSettings settings = {{url, options.api_key, options.ca_file},
                           options.model,
                           options.thinking.value_or(true),
                           options.temperature,
                           options.max_tokens};
  if (settings.model.empty()) {
    FATHOM_ASSIGN(settings.model, ChatSession::first_model(settings.server));
  }
  return settings;
}

}  // namespace

int run_chat(const ChatOptions& options) {
  const auto question = question_of(options);
  if (!question) {
    const bool misused = question.error().code == ErrorCode::kInvalidArgument;
    return end_with(misused ? kWrongUsage : kFailed, question.error().message);
  }
  std::unique_ptr<ServingStack> own;
  const auto address = find_server(options, own);
  if (!address) return end_with(kFailed, address.error().message);
  const auto url = net::parse_url(*address);
  if (!url) return end_with(kWrongUsage, "--url: " + url.error().message);
  auto settings = settings_of(options, *url);
  if (!settings) return end_with(kFailed, settings.error().message);

  ChatSession session(std::move(*settings), options.system);
  ChatScreen::Look look = ChatScreen::look();
  look.thoughts = look.terminal || options.thinking == true;
  ChatScreen screen(look);
  catch_interrupts();
  if (*question) return answer_once(**question, session, screen);
  screen.note(fmt::format("{} at {}. /help for commands.", session.settings().model, *address));
  Conversation(session, screen).run();
  return kAnswered;
}

}  // namespace fathom::cli
