// The side of an engine that computes prompts for others: takes tokens, has the engine compute
// them as a request that generates nothing, and sends the KV blocks as they are there.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "engine/engine.h"
#include "kvtransfer/messages.h"
#include "kvtransfer/transfer_thread.h"

namespace fathom::kvtransfer {

class PrefillServer final : private TransportHandler {
 public:
  // `engine` must outlive it. Errors: the transport's, of `address`.
  static Result<std::unique_ptr<PrefillServer>> start(engine::Engine& engine,
                                                      std::string model_hash,
                                                      const Address& address,
                                                      std::unique_ptr<Transport> transport);
  // Cancels what runs for others.
  ~PrefillServer() override;

  uint16_t port() const { return port_; }
  engine::KvTransferStats stats() const;

 private:
  class Sink;
  struct Transfer {
    engine::RequestId request = 0;
    std::shared_ptr<Sink> sink;
    double seconds = 0;  // since it was asked for
    double stalled = 0;  // seconds that blocks have waited for the peer
  };
  struct Peer {
    bool greeted = false;
    bool refused = false;             // it has a tick to read why
    models::KvBlockFormat wire = {};  // of the blocks that are sent to it
    std::unordered_map<TransferId, Transfer> transfers;
  };

  PrefillServer(engine::Engine& engine, std::string model_hash,
                std::unique_ptr<Transport> transport);

  // The thread:
  Transport& transport() { return thread_->transport(); }
  void message(PeerId peer, std::vector<std::byte> bytes) override;
  void lost(PeerId peer, const std::string& reason) override;
  void tick(TransferThread::Seconds elapsed);
  void tick_transfers(PeerId id, Peer& peer, double elapsed);
  Status serve(PeerId peer, std::span<const std::byte> bytes);
  Status greet(PeerId peer, std::span<const std::byte> bytes);
  Status begin(PeerId peer, TransferId id, std::span<const std::byte> bytes);
  Status take(PeerId peer, TransferId id, std::span<const std::byte> bytes);
  void cancel(PeerId peer, TransferId id);
  void send_blocks(PeerId peer, TransferId id, engine::KvBlocks blocks);
  void end(PeerId peer, TransferId id, const std::string& failure);
  void drop_transfers(Peer& peer);
  Transfer* find(PeerId peer, TransferId id);
  void count_failure(engine::KvFailure failure);

  engine::Engine& engine_;
  const Hello hello_;
  uint16_t port_ = 0;
  std::unordered_map<PeerId, Peer> peers_;
  double since_alive_ = 0;  // seconds

  mutable std::mutex mutex_;
  engine::KvTransferStats stats_;

  std::shared_ptr<TransferThread> thread_;  // sinks and listeners have it too
};

}  // namespace fathom::kvtransfer
