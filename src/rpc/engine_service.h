// An engine for gateways: serves the streams of any number of them over a Transport.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "rpc/session.h"
#include "rpc/transport.h"

namespace fathom::rpc {

struct ServiceOptions {
  std::string address;  // "HOST:PORT"
  Security security;
  Welcome welcome;                           // but its version, which each gateway's Hello decides
  std::map<std::string, std::string> files;  // paths by their digests in the manifest
  size_t most_queued_bytes = size_t{64} << 20;  // to one gateway; then its stream is cut
  std::chrono::milliseconds heartbeat{300};
  std::chrono::milliseconds statistics{1000};
};

// Thread-safe.
class EngineService {
 public:
  // `engine` and `compiler` outlive it. Errors: as Transport::listen().
  static Result<std::unique_ptr<EngineService>> start(Transport& transport, engine::Engine& engine,
                                                      grammar::Compiler& compiler,
                                                      ServiceOptions options);
  // Cuts every stream, whose requests are cancelled.
  ~EngineService();

  uint16_t port() const { return server_->port(); }

  // Of the engine (EngineOptions::after_events): sends what the step brought.
  void after_events();
  // Heartbeats say so, and gateways send nothing new.
  void drain() { draining_ = true; }
  size_t gateways() const;

 private:
  class Handler;
  EngineService(engine::Engine& engine, grammar::Compiler& compiler, ServiceOptions options);

  void welcome(const std::shared_ptr<Session>& session, const Hello& hello);
  void leave(const std::shared_ptr<Session>& session);
  std::vector<std::shared_ptr<Session>> sessions() const;
  void beat();   // of a thread of its own: that this process lives
  void count();  // of another, for statistics wait for the engine
  bool sleep(std::chrono::milliseconds period);

  engine::Engine& engine_;
  const ServiceOptions options_;
  GrammarWorkers grammars_;
  std::atomic<uint64_t> steps_ = 0;
  std::atomic<bool> draining_ = false;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable stopped_;
  std::vector<std::shared_ptr<Session>> sessions_;  // that were welcomed
  bool stopping_ = false;

  std::thread heart_;
  std::thread counter_;
  std::unique_ptr<Server> server_;
};

}  // namespace fathom::rpc
