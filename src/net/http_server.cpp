#include "net/http_server.h"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <thread>
#include <utility>

#include "base/log.h"
#include "net/connection.h"
#include "net/listener.h"
#include "net/server_context.h"
#include "net/socket.h"

namespace fathom::net {
namespace {

namespace asio = boost::asio;

constexpr int kMaxThreads = 1024;

void run_loop(Loop& loop) {
  while (true) {
    try {
      loop.io.run();
      return;
    } catch (const std::exception& error) {
      // Only a callback of the server's user can throw here.
      log_error("net: a callback threw: {}", error.what());
    }
  }
}

Status check_count(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return {};
  return invalid_argument(std::string("http server: ") + name + ": expected " +
                              std::to_string(low) + " to " + std::to_string(high) + ", got " +
                              std::to_string(value),
                          name);
}

Status check_options(const ServerOptions& options) {
  FATHOM_TRY(check_count("port", options.port, 0, 65535));
  FATHOM_TRY(check_count("threads", options.threads, 1, kMaxThreads));
  FATHOM_TRY(check_count("handler_threads", options.handler_threads, 1, kMaxThreads));
  return {};
}

}  // namespace

struct HttpServer::Impl {
  Impl(ServerOptions options, std::shared_ptr<HttpApp> app)
      : context(std::move(options), std::move(app)) {}

  Status start() {
    for (int i = 0; i < context.options.threads; ++i) loops.push_back(std::make_shared<Loop>());
    FATHOM_ASSIGN(listener, Listener::open(context, loops));
    listener->start();
    for (const auto& loop : loops) {
      guards.push_back(asio::make_work_guard(loop->io));
      threads.emplace_back([loop] { run_loop(*loop); });
    }
    return {};
  }

  void stop() {
    if (context.stopping.exchange(true)) return;
    // Handlers stop first: otherwise a thread whose client is cut takes the next request.
    for (const Lane lane : {Lane::kQuick, Lane::kShort, Lane::kHeavy}) {
      context.handlers(lane).stop();
    }
    if (!threads.empty()) asio::post(loops[0]->io, [this] { listener->close(); });
    for (const auto& loop : loops) asio::post(loop->io, [loop] { cut_connections(*loop); });
    guards.clear();
    for (std::thread& thread : threads) thread.join();
    for (const Lane lane : {Lane::kQuick, Lane::kShort, Lane::kHeavy})
      context.handlers(lane).join();
  }

  static void cut_connections(Loop& loop) {
    // abort() does not change the set: a connection leaves it when its coroutine resumes.
    for (Connection* connection : loop.connections) connection->abort();
  }

  ServerContext context;
  std::vector<std::shared_ptr<Loop>> loops;
  std::vector<asio::executor_work_guard<Executor>> guards;
  std::unique_ptr<Listener> listener;
  std::vector<std::thread> threads;
};

Result<std::unique_ptr<HttpServer>> HttpServer::start(ServerOptions options,
                                                      std::shared_ptr<HttpApp> app) {
  FATHOM_TRY(check_options(options));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(app));
  FATHOM_TRY(impl->start());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  stop();
}

int HttpServer::port() const {
  return impl_->listener->port();
}

void HttpServer::stop_accepting() {
  impl_->context.refusing = true;
}

bool HttpServer::drain(std::chrono::milliseconds timeout) {
  return impl_->context.active.wait_for_none(timeout);
}

void HttpServer::stop() {
  impl_->stop();
}

ServerStats HttpServer::stats() const {
  const Counters& counters = impl_->context.counters;
  ServerStats stats;
  stats.open_connections = counters.open_connections;
  stats.active_responses = impl_->context.active.count();
  stats.body_bytes = impl_->context.bodies->used();
  stats.accepted_connections = counters.accepted_connections;
  stats.refused_connections = counters.refused_connections;
  stats.requests = counters.requests;
  stats.clients_gone = counters.clients_gone;
  stats.slow_readers = counters.slow_readers;
  stats.protocol_errors = counters.protocol_errors;
  stats.accept_failures = counters.accept_failures;
  return stats;
}

}  // namespace fathom::net
