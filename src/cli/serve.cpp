#include "cli/serve.h"

#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <cstdio>

#include "base/log.h"
#include "cli/rank_job.h"
#include "cli/version.h"

namespace fathom::cli {

namespace {

// "models/tiny/" -> "tiny".
std::string directory_name(const std::filesystem::path& directory) {
  std::error_code failed;
  auto path = std::filesystem::weakly_canonical(directory, failed);
  if (failed) path = directory;
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// The signals that end the server, blocked in every thread and waited for in one.
sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int64_t unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

Result<std::unique_ptr<ServingStack>> ServingStack::start(const ServeOptions& options,
                                                          Stack stack) {
  auto serving = std::unique_ptr<ServingStack>(new ServingStack(std::move(stack)));
  serving->model_name_ =
      options.model_name.empty() ? directory_name(options.stack.model) : options.model_name;

  api::ApiOptions api;
  api.model = {.id = serving->model_name_, .aliases = {}, .created = unix_seconds()};
  api.version = kVersion;
  api.default_thinking = options.thinking;
  api.add_bos_token = serving->stack_.add_bos_token;
  api.max_body_bytes = static_cast<size_t>(options.max_body_mib) << 20;
  FATHOM_ASSIGN(serving->service_,
                api::ApiService::create(*serving->stack_.engine, serving->stack_.tokenizer,
                                        serving->stack_.chat_template, std::move(api)));

  net::ServerOptions net;
  net.host = options.host;
  net.port = options.port;
  net.max_body_bytes = static_cast<size_t>(options.max_body_mib) << 20;
  net.error_response = api::ApiService::protocol_error;
  FATHOM_ASSIGN(serving->server_,
                net::HttpServer::start(net, [service = serving->service_.get()](
                                                net::HttpRequest request,
                                                std::shared_ptr<net::ResponseWriter> writer) {
                  service->handle(std::move(request), std::move(writer));
                }));
  serving->service_->set_ready(true);
  const bool named = options.host.find(':') == std::string::npos;
  serving->host_ = named ? options.host : "[" + options.host + "]";
  return serving;
}

ServingStack::~ServingStack() {
  if (server_) server_->stop();
}

std::string ServingStack::url() const {
  return fmt::format("http://{}:{}", host_, server_->port());
}

bool ServingStack::shut_down(std::chrono::milliseconds patience) {
  service_->begin_shutdown();
  const bool finished = server_->drain(patience);
  server_->stop();
  return finished;
}

int run_serve(const ServeOptions& options) {
  if (options.dry_run.enabled) {
    return run_dry_run(options.stack, options.stack.parallel, options.dry_run);
  }
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto stack = build_stack(options.stack);
  if (!stack) {
    log_error("{}", stack.error().message);
    return 1;
  }
  if (stack->follower) return follow_rank_0(*stack);
  if (options.check_only) {
    fmt::print("{} is good\n", options.stack.model.string());
    return 0;
  }
  auto serving = ServingStack::start(options, std::move(stack).value());
  if (!serving) {
    log_error("{}", serving.error().message);
    return 1;
  }
  if (!is_loopback(options.host)) {
    log_warning("listening on {} without keys: everyone who reaches it can use it", options.host);
  }
  fmt::print("listening on {}\n", (*serving)->url());
  std::fflush(stdout);

  int received = 0;
  sigwait(&signals, &received);
  log_info("stopping: running answers have {} s to finish; press Ctrl-C again to stop now",
           options.shutdown_seconds);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  const bool finished = (*serving)->shut_down(std::chrono::seconds(options.shutdown_seconds));
  if (!finished) log_warning("stopped before every answer was finished");
  return 0;
}

}  // namespace fathom::cli
