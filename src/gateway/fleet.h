// The engines of one model as one engine: each request goes to one of them, and on to another when
// it is lost, without its listener noticing.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "gateway/relay.h"
#include "rpc/engine_link.h"

namespace fathom::gateway {

struct FleetOptions {
  std::vector<std::string> engines;  // addresses
  rpc::Security security;
  std::string gateway;  // its name, for the engines' logs
  RelayLimits limits;
  std::chrono::milliseconds tick{50};
};

class Fleet final : public engine::Engine, private RelayHost {
 public:
  // `transport` outlives it. Calls the engines at once, and waits for none.
  Fleet(rpc::Transport& transport, FleetOptions options);
  // Every request that has not ended is cancelled.
  ~Fleet() override;

  engine::RequestId submit(engine::Request request, engine::Listener listener) override;
  void cancel(engine::RequestId id) override;
  void cancel_all() override;
  void drain() override { draining_ = true; }
  bool idle() const override;

  engine::EngineStats stats() const override;  // summed
  int64_t waiting(uint64_t owner) const override;
  int64_t vocab_size() const override;
  models::KvBlockFormat kv_block_format() const override;
  int64_t max_context() const override;  // the least of all engines

  std::vector<rpc::LinkStatus> engines() const;
  // The welcome of an engine that serves, as soon as there is one; nothing if there is none within
  // that time.
  std::optional<rpc::Welcome> wait_for_engine(std::chrono::milliseconds most);

 private:
  using Clock = rpc::EngineLink::Clock;

  std::shared_ptr<rpc::EngineLink> choose(const rpc::EngineLink* avoid,
                                          const std::optional<rpc::Manifest>& kind) override;
  void run();
  void forget(engine::RequestId id) override;
  std::vector<std::shared_ptr<Relay>> relays() const;

  const FleetOptions options_;
  std::vector<std::shared_ptr<rpc::EngineLink>> links_;
  std::atomic<bool> draining_ = false;
  std::atomic<engine::RequestId> last_id_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::unordered_map<engine::RequestId, std::shared_ptr<Relay>> relays_;
  std::mt19937_64 random_{std::random_device{}()};
  bool stopping_ = false;
  std::thread clock_;
};

}  // namespace fathom::gateway
