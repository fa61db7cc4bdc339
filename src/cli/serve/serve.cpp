#include "cli/serve/serve.h"

#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <initializer_list>
#include <new>

#include "base/log.h"
#include "cli/serve/credentials.h"
#include "cli/serve/process_setup.h"
#include "comm/group.h"
#include "serving/rank_job.h"
#include "serving/sd_notify.h"
#include "serving/version.h"

namespace fathom::cli {

namespace {

// "models/tiny/" -> "tiny".
std::string directory_name(const std::filesystem::path& directory) {
  std::error_code failed;
  auto path = std::filesystem::weakly_canonical(directory, failed);
  if (failed) path = directory;
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

std::string chosen_name(const ServeOptions& options) {
  if (!options.model_name.empty()) return options.model_name;
  if (!options.stack.synthetic.empty()) return options.stack.synthetic;
  return directory_name(options.stack.model);
}

sigset_t set_of(std::initializer_list<int> numbers) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : numbers) sigaddset(&signals, number);
  return signals;
}

// SIGTERM, SIGINT and SIGUSR1 end the server, SIGHUP has it read its files again. They are blocked
// in every thread and waited for in one. SIGUSR1 is what mpirun passes on to its ranks and leaves
// them time for.
sigset_t awaited_signals() {
  return set_of({SIGTERM, SIGINT, SIGUSR1, SIGHUP});
}

// Until a signal says stop or the chip is lost; meanwhile looks whether the files have changed.
void wait_for_stop(const sigset_t& signals, Reloader& reloader, const device::Device& chip) {
  constexpr timespec kLookInterval = {1, 0};
  while (!chip.lost()) {
    const int received = sigtimedwait(&signals, nullptr, &kLookInterval);
    if (received == SIGHUP) {
      reloader.force();
    } else if (received > 0) {
      return;
    } else {
      try {
        reloader.check();
      } catch (const std::bad_alloc&) {  // it looks again in a second
      }
    }
  }
}

int64_t unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

Result<EdgeFiles> EdgeFiles::load(const EdgeSettings& edge) {
  EdgeFiles files;
  if (!edge.api_keys.empty()) {
    FATHOM_ASSIGN(const std::string file, credential_file("--api-keys", edge.api_keys));
    FATHOM_ASSIGN(files.keys, api::ApiKeys::load(file));
    files.reloader.add("API keys", {file}, [keys = files.keys] { return keys->reload(); });
  }
  if (!edge.tls_certificate.empty()) {
    FATHOM_ASSIGN(const std::string certificate,
                  credential_file("--tls-cert", edge.tls_certificate));
    FATHOM_ASSIGN(const std::string key, credential_file("--tls-key", edge.tls_key));
    FATHOM_ASSIGN(files.tls, net::TlsIdentity::load(certificate, key));
    files.reloader.add("TLS certificate", {certificate, key},
                       [tls = files.tls] { return tls->reload(); });
  }
  return files;
}

Result<std::unique_ptr<ServingStack>> ServingStack::start(const ServeOptions& options,
                                                          serving::Stack stack, EdgeFiles files) {
  FATHOM_TRY(check_edge(options.edge));
  auto serving = std::unique_ptr<ServingStack>(new ServingStack(std::move(stack)));
  serving->reloader_ = std::move(files.reloader);
  serving->model_name_ = chosen_name(options);

  net::ServerOptions net = server_options(options.edge);
  api::ApiOptions api;
  api.model = {.id = serving->model_name_, .aliases = {}, .created = unix_seconds()};
  for (const std::string& text : options.aliases) {
    FATHOM_ASSIGN(api::ModelAlias alias, api::parse_model_alias(text, serving->model_name_));
    api.model.aliases.push_back(std::move(alias));
  }
  api.stored_responses = {std::chrono::seconds(options.keep_responses_seconds),
                          static_cast<size_t>(options.keep_responses_mib) << 20};
  api.answer_memory_bytes = static_cast<size_t>(options.answer_memory_mib) << 20;
  api.version = serving::kVersion;
  api.default_thinking = options.thinking;
  api.add_bos_token = serving->stack_.add_bos_token;
  api.expert_metrics = options.expert_metrics;
  api.max_body_bytes = net.max_body_bytes;
  api.max_waiting = options.stack.max_waiting;
  FATHOM_ASSIGN(serving->prefill_,
                serving::start_prefill_server(options.stack.disaggregation,
                                              serving->stack_.model_hash, *serving->stack_.engine));
  if (serving->prefill_) {
    api.kv_sent = [server = serving->prefill_.get()] { return server->stats(); };
  }
  api.tls = files.tls != nullptr;
  api.request_log = request_log_options(options.log);
  api.share_prefix_cache = options.edge.share_prefix_cache;
  api.edge = {.keys = files.keys,
              .cors_origins = options.edge.cors_origins,
              .checks_host = checks_host(options.edge),
              .hosts = known_hosts(options.edge)};
  FATHOM_ASSIGN(serving->service_,
                api::ApiService::create(*serving->stack_.engine, serving->stack_.tokenizer,
                                        serving->stack_.chat_template, std::move(api)));
  net.tls = files.tls;
  FATHOM_ASSIGN(serving->server_, net::HttpServer::start(std::move(net), serving->service_));
  serving->service_->set_ready(true);
  const std::string& host = options.edge.host;
  const bool v6 = host.find(':') != std::string::npos && host.front() != '[';
  serving->url_ = fmt::format("{}://{}:{}", files.tls ? "https" : "http",
                              v6 ? "[" + host + "]" : host, serving->server_->port());
  return serving;
}

ServingStack::~ServingStack() {
  if (server_) server_->stop();
}

bool ServingStack::shut_down(std::chrono::milliseconds patience) {
  service_->begin_shutdown();
  const bool finished = server_->drain(patience);
  if (!finished) {
    constexpr std::chrono::milliseconds kTimeToTell{1000};
    stack_.engine->cancel_all();
    (void)server_->drain(kTimeToTell);
  }
  server_->stop();
  return finished;
}

namespace {

// Every request fails by now; their errors are still sent.
int end_without_chip(ServingStack& serving) {
  constexpr std::chrono::milliseconds kTimeToTell{1000};
  log_error("chip {} is lost: this process ends, to be started again",
            serving.device().backend().name);
  serving::notify_manager("STOPPING=1\nSTATUS=the chip is lost");
  (void)serving.shut_down(kTimeToTell);
  return comm::kExitRankLost;
}

}  // namespace

int run_serve(ServeOptions options) {
  start_log(options.log);
  if (options.stack.model.empty() == options.stack.synthetic.empty()) {
    log_error("serve: expected one of --model and --synthetic");
    return 2;
  }
  if (const auto fits = check_edge(options.edge); !fits) {
    log_error("{}", fits.error().message);
    return 2;
  }
  if (const auto fits = check_log(options.log); !fits) {
    log_error("{}", fits.error().message);
    return 2;
  }
  if (const auto fits =
          serving::check_disaggregation(options.stack.disaggregation, options.stack.prefix_cache);
      !fits) {
    log_error("{}", fits.error().message);
    return 2;
  }
  if (options.dry_run.enabled) {
    return run_dry_run(options.stack, options.stack.parallel, options.dry_run);
  }
  ignore_broken_pipes();
  const auto connections = connections_that_fit(options.edge, raise_descriptor_limit());
  if (!connections) {
    log_error("{}", connections.error().message);
    return 2;
  }
  if (!options.edge.max_connections && *connections < kDefaultConnections) {
    log_warning("{} connections at a time: the limit of file descriptors leaves no more",
                *connections);
  }
  options.edge.max_connections = *connections;
  auto files = EdgeFiles::load(options.edge);  // so that an error is reported before a long load
  if (!files) {
    log_error("{}", files.error().message);
    return 1;
  }
  const sigset_t signals = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto stack = serving::build_stack(options.stack);
  if (!stack) {
    log_error("{}", stack.error().message);
    return 1;
  }
  if (stack->follower) return serving::follow_rank_0(stack->membership.ranks(), *stack->follower);
  if (options.check_only) {
    fmt::print("{} is good\n", options.stack.name());
    return 0;
  }
  auto serving = ServingStack::start(options, std::move(stack).value(), std::move(files).value());
  if (!serving) {
    log_error("{}", serving.error().message);
    return 1;
  }
  if (options.log.prompts) log_warning("--log-prompts: what is asked and answered is logged");
  // The log is complete before the line that scripts wait for.
  constexpr std::chrono::milliseconds kPatience{1000};
  (void)flush_log(kPatience);
  fmt::print("listening on {}\n", (*serving)->url());
  std::fflush(stdout);
  serving::notify_manager(
      fmt::format("READY=1\nSTATUS=serving {} at {}", (*serving)->model_name(), (*serving)->url()));

  const device::Device& chip = (*serving)->device();
  wait_for_stop(signals, (*serving)->reloader(), chip);
  if (chip.lost()) return end_without_chip(**serving);
  serving::notify_manager("STOPPING=1\nSTATUS=finishing running answers");
  log_info("stopping: running answers have {} s to finish; press Ctrl-C again to stop now",
           options.shutdown_seconds);
  const sigset_t stop_now = set_of({SIGTERM, SIGINT});
  pthread_sigmask(SIG_UNBLOCK, &stop_now, nullptr);
  const bool finished = (*serving)->shut_down(std::chrono::seconds(options.shutdown_seconds));
  if (!finished) log_warning("stopped before every answer was finished");
  return 0;
}

}  // namespace fathom::cli
