// The side of an engine that has others compute its prompts. Each transfer is paired with the
// prefill engine that has least to do; one that fails goes on elsewhere from the first block that
// is missing, and where nobody is left it ends, so that the engine computes the rest itself.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/kv_transfer.h"
#include "kvtransfer/messages.h"
#include "kvtransfer/peer_state.h"
#include "kvtransfer/transfer_thread.h"

namespace fathom::kvtransfer {

struct PrefillClientOptions {
  std::vector<Address> peers;
  Hello hello;           // of this engine
  double deadline = 60;  // seconds that a transfer may go without a block
};

class PrefillClient final : public engine::KvSource, private TransportHandler {
 public:
  PrefillClient(PrefillClientOptions options, std::unique_ptr<Transport> transport);
  ~PrefillClient() override;

  void start(engine::KvReceiver& receiver) override;
  void fetch(uint64_t id, engine::KvWanted wanted) override;
  void cancel(uint64_t id) override;
  void taken(uint64_t id, int64_t count) override;
  engine::KvTransferStats stats() const override;

 private:
  struct Fetch {
    engine::KvWanted wanted;
    std::vector<Hash128> chain;
    std::vector<bool> there;  // of each block from first_block on
    std::vector<bool> tried;  // of each prefill engine
    size_t peer = 0;          // who is asked
    TransferId transfer = 0;  // what for
    int64_t untaken = 0;      // blocks of this transfer that the engine has not taken in yet
    int64_t stale = 0;        // likewise of earlier ones
    double seconds = 0;       // since it began
    double waited = 0;        // since the last block, or since somebody was asked
  };
  using Fetches = std::unordered_map<uint64_t, Fetch>;

  // The thread:
  void message(PeerId peer, std::vector<std::byte> bytes) override;
  void lost(PeerId peer, const std::string& reason) override;
  void tick(TransferThread::Seconds elapsed);
  Status read(PeerState& peer, std::span<const std::byte> bytes);
  Status read_blocks_of(TransferId transfer, std::span<const std::byte> bytes);
  Status meet(PeerState& peer, std::span<const std::byte> bytes);
  void connect(PeerState& peer);
  void lose(PeerState& peer, engine::KvFailure failure, const std::string& reason);
  void begin(uint64_t id, engine::KvWanted wanted);
  void ask(uint64_t id, Fetch& fetch, engine::KvFailure otherwise);
  void go_on_elsewhere(uint64_t id, engine::KvFailure failure);
  void forget(uint64_t id, bool tell_peer);
  void count_failure(engine::KvFailure failure);
  PeerState* peer_of(PeerId id);
  PeerState* least_busy(const Fetch& fetch);

  const PrefillClientOptions options_;
  engine::KvReceiver* receiver_ = nullptr;
  std::vector<PeerState> peers_;
  size_t next_peer_ = 0;  // whose turn it is among the equally busy
  Fetches fetches_;
  std::unordered_map<TransferId, uint64_t> ids_;
  TransferId last_transfer_ = 0;

  mutable std::mutex mutex_;
  engine::KvTransferStats stats_;

  TransferThread thread_;
};

}  // namespace fathom::kvtransfer
