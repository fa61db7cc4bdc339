// What the parts of a server share: options, counters, and the network threads' event loops.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>

#include "net/byte_budget.h"
#include "net/exchange.h"
#include "net/http_app.h"
#include "net/server_options.h"

namespace fathom::net {

class Connection;

// The event loop of one network thread. Everything but `io` is touched by that thread only.
struct Loop {
  std::unordered_set<Connection*> connections;
  // Destroyed first: coroutines that never ran to their end are destroyed with it.
  boost::asio::io_context io{1};
};

// The answers that are running, for drain().
class ActiveResponses {
 public:
  void begin() {
    const std::scoped_lock lock(mutex_);
    ++count_;
  }
  void end() {
    const std::scoped_lock lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  bool wait_for_none(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    return none_.wait_for(lock, timeout, [this] { return count_ == 0; });
  }
  std::int64_t count() const {
    const std::scoped_lock lock(mutex_);
    return count_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable none_;
  std::int64_t count_ = 0;
};

struct Counters {
  std::atomic<std::int64_t> open_connections = 0;
  std::atomic<std::uint64_t> accepted_connections = 0;
  std::atomic<std::uint64_t> refused_connections = 0;
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<std::uint64_t> clients_gone = 0;
  std::atomic<std::uint64_t> slow_readers = 0;
  std::atomic<std::uint64_t> protocol_errors = 0;
  std::atomic<std::uint64_t> accept_failures = 0;
};

// Outlives every connection.
struct ServerContext {
  ServerContext(ServerOptions server_options, std::shared_ptr<HttpApp> served)
      : options(std::move(server_options)),
        app(std::move(served)),
        bodies(std::make_shared<ByteBudget>(options.max_bodies_bytes)),
        quick_handlers(1),
        short_handlers(static_cast<std::size_t>(options.handler_threads)),
        heavy_handlers(static_cast<std::size_t>(options.handler_threads)) {}

  boost::asio::thread_pool& handlers(Lane lane) {
    return lane == Lane::kQuick   ? quick_handlers
           : lane == Lane::kShort ? short_handlers
                                  : heavy_handlers;
  }

  const ServerOptions options;
  const std::shared_ptr<HttpApp> app;
  const std::shared_ptr<ByteBudget> bodies;  // requests may outlive the server
  Counters counters;
  ActiveResponses active;
  std::atomic<bool> refusing = false;  // new requests get 503
  std::atomic<bool> stopping = false;  // everything is being cut
  // Requests of the heavy lane that wait or run, and the bytes of their bodies.
  std::atomic<std::size_t> heavy_requests = 0;
  std::atomic<std::size_t> heavy_bytes = 0;
  boost::asio::thread_pool quick_handlers;
  boost::asio::thread_pool short_handlers;
  boost::asio::thread_pool heavy_handlers;
};

}  // namespace fathom::net
