#include "rpc/engine_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace fathom::rpc {

// One gateway's stream: Hello, then requests.
class EngineService::Handler final : public GatewayHandler {
 public:
  Handler(EngineService& service, std::shared_ptr<Session> session)
      : service_(service), session_(std::move(session)) {}

  void message(ToEngine message) override {
    if (auto* hello = std::get_if<Hello>(&message)) {
      if (std::exchange(welcomed_, true)) return expect("one hello");
      return service_.welcome(session_, *hello);
    }
    if (!welcomed_) return expect("hello first");
    if (auto* submit = std::get_if<Submit>(&message)) return session_->submit(std::move(*submit));
    if (const auto* cancel = std::get_if<Cancel>(&message)) session_->cancel(cancel->number);
  }

  void closed(const std::string& reason) override {
    if (welcomed_) log_info("engine: a gateway has gone: {}", reason);
    service_.leave(session_);
    session_->close();
  }

 private:
  void expect(const char* what) {
    session_->end(invalid_argument(fmt::format("engine protocol: expected {}", what)));
  }

  EngineService& service_;
  const std::shared_ptr<Session> session_;
  bool welcomed_ = false;
};

Result<std::unique_ptr<EngineService>> EngineService::start(Transport& transport,
                                                            engine::Engine& engine,
                                                            grammar::Compiler& compiler,
                                                            ServiceOptions options) {
  std::unique_ptr<EngineService> service(new EngineService(engine, compiler, std::move(options)));
  const auto accept = [&made = *service](std::shared_ptr<ToGateway> out) {
    auto session = std::make_shared<Session>(made.engine_, made.grammars_, std::move(out));
    return std::make_unique<Handler>(made, std::move(session));
  };
  const auto find_file = [&files = service->options_.files](const std::string& digest) {
    const auto file = files.find(digest);
    return file == files.end() ? std::string() : file->second;
  };
  FATHOM_ASSIGN(service->server_,
                transport.listen(service->options_.address, service->options_.security,
                                 service->options_.most_queued_bytes, accept, find_file));
  return service;
}

EngineService::EngineService(engine::Engine& engine, grammar::Compiler& compiler,
                             ServiceOptions options)
    : engine_(engine),
      options_(std::move(options)),
      grammars_(compiler),
      heart_([this] { beat(); }),
      counter_([this] { count(); }) {}

EngineService::~EngineService() {
  server_ = nullptr;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  heart_.join();
  counter_.join();
}

void EngineService::welcome(const std::shared_ptr<Session>& session, const Hello& hello) {
  const uint32_t version = std::min(hello.greatest_version, kGreatestVersion);
  if (version < std::max(hello.least_version, kLeastVersion)) {
    return session->end(invalid_argument(fmt::format(
        "engine protocol: expected a version from {} to {}, got a gateway that speaks {} to {}",
        kLeastVersion, kGreatestVersion, hello.least_version, hello.greatest_version)));
  }
  log_info("engine: gateway {} has connected", hello.gateway);
  Welcome welcome = options_.welcome;
  welcome.version = version;
  session->send(welcome);
  const std::lock_guard lock(mutex_);
  sessions_.push_back(session);
}

void EngineService::leave(const std::shared_ptr<Session>& session) {
  const std::lock_guard lock(mutex_);
  std::erase(sessions_, session);
}

std::vector<std::shared_ptr<Session>> EngineService::sessions() const {
  const std::lock_guard lock(mutex_);
  return sessions_;
}

size_t EngineService::gateways() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

void EngineService::after_events() {
  const uint64_t step = ++steps_;
  const std::lock_guard lock(mutex_);
  for (const auto& session : sessions_) session->step_done(step);
}

bool EngineService::sleep(std::chrono::milliseconds period) {
  std::unique_lock lock(mutex_);
  return !stopped_.wait_for(lock, period, [this] { return stopping_; });
}

void EngineService::beat() {
  while (sleep(options_.heartbeat)) {
    const std::vector<std::shared_ptr<Session>> all = sessions();
    const bool busy = std::any_of(all.begin(), all.end(), [](const auto& s) { return s->busy(); });
    const Heartbeat beat{.step = steps_, .busy = busy, .draining = draining_};
    const auto now = Session::Clock::now();
    for (const auto& session : all) {
      session->send(beat);
      session->cancel_late(now);
    }
  }
}

void EngineService::count() {
  while (sleep(options_.statistics)) {
    const engine::EngineStats stats = engine_.stats();
    const Load load{.running = stats.running,
                    .max_running = stats.max_running,
                    .waiting = stats.waiting,
                    .kv_blocks_total = stats.kv_blocks_total,
                    .kv_blocks_used = stats.kv_blocks_used,
                    .prompt_tokens = stats.prompt_tokens,
                    .generated_tokens = stats.generated_tokens,
                    .prefix_cache_queries = stats.prefix_cache_queries,
                    .prefix_cache_hits = stats.prefix_cache_hits,
                    .preemptions = stats.preemptions};
    for (const auto& session : sessions()) session->send(load);
  }
}

}  // namespace fathom::rpc
