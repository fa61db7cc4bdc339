#include "kvtransfer/prefill_server.h"

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "kvtransfer/block_cutter.h"

namespace fathom::kvtransfer {

using engine::KvFailure;

namespace {

// Blocks of one transfer that are sent and that the peer has not taken in: as many as the engine
// hands out at once, so many times.
constexpr int64_t kWindow = 4;
constexpr double kAliveEvery = 0.5;  // seconds
constexpr double kStalled = 30;      // seconds that a peer may let blocks wait

}  // namespace

// Counts what is on its way, in the blocks that the peer gets; lives as long as either side needs
// it.
class PrefillServer::Sink final : public engine::KvSink {
 public:
  using Send = std::function<void(std::shared_ptr<engine::KvBlocks>)>;

  Sink(const models::KvBlockFormat& own, const models::KvBlockFormat& wire,
       const engine::KvWanted& wanted, std::vector<Hash128> chain, Send send)
      : most_at_once_((models::kMaxKvBlocksACall * own.block_size + wire.block_size - 1) /
                      wire.block_size),
        chain_(std::move(chain)),
        send_(std::move(send)),
        cutter_(own, wire, wanted.first_block, wanted.blocks) {}

  bool ready() const override { return under_way_ + most_at_once_ <= kWindow * most_at_once_; }
  void take(engine::KvBlocks blocks) override {
    const int64_t whole = cutter_.whole_before(blocks.first + blocks.count);
    under_way_ += whole - std::exchange(handed_out_, whole);
    send_(std::make_shared<engine::KvBlocks>(std::move(blocks)));
  }

  void taken(int64_t count) { under_way_ -= count; }
  int64_t under_way() const { return under_way_; }
  // The engine's blocks as the peer gets them; of the transfer thread.
  BlockCutter& cutter() { return cutter_; }
  // Of the blocks up to the end of these.
  const Hash128& chain(const engine::KvBlocks& blocks) const {
    return chain_[static_cast<size_t>(blocks.first + blocks.count) - 1];
  }

 private:
  const int64_t most_at_once_;
  const std::vector<Hash128> chain_;
  const Send send_;
  std::atomic<int64_t> under_way_ = 0;
  int64_t handed_out_ = 0;  // of the engine's thread
  BlockCutter cutter_;
};

PrefillServer::PrefillServer(engine::Engine& engine, std::string model_hash,
                             std::unique_ptr<Transport> transport)
    : engine_(engine),
      hello_{std::move(model_hash), engine.kv_block_format(), engine.max_context()},
      thread_(std::make_shared<TransferThread>(std::move(transport))) {}

Result<std::unique_ptr<PrefillServer>> PrefillServer::start(engine::Engine& engine,
                                                            std::string model_hash,
                                                            const Address& address,
                                                            std::unique_ptr<Transport> transport) {
  auto server = std::unique_ptr<PrefillServer>(
      new PrefillServer(engine, std::move(model_hash), std::move(transport)));
  FATHOM_ASSIGN(server->port_, server->transport().listen(address));
  server->thread_->start(*server, [server = server.get()](auto elapsed) { server->tick(elapsed); });
  return server;
}

PrefillServer::~PrefillServer() {
  thread_->stop();
  for (auto& [id, peer] : peers_) drop_transfers(peer);
}

engine::KvTransferStats PrefillServer::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void PrefillServer::message(PeerId peer, std::vector<std::byte> bytes) {
  if (peers_[peer].refused) return;
  const auto served = serve(peer, bytes);
  if (served) return;
  log_warning("a peer at the KV port: {}", served.error().message);
  transport().send(peer, write_text(Kind::kRefusal, 0, served.error().message));
  peers_[peer].refused = true;
  drop_transfers(peers_[peer]);
}

Status PrefillServer::serve(PeerId peer, std::span<const std::byte> bytes) {
  FATHOM_ASSIGN(const Head head, read_head(bytes));
  if (head.kind == Kind::kHello) return greet(peer, bytes);
  if (!peers_[peer].greeted) {
    return Error{ErrorCode::kDataCorrupt, "kv message: expected a hello first, got another"};
  }
  switch (head.kind) {
    case Kind::kAsk:
      return begin(peer, head.transfer, bytes);
    case Kind::kTaken:
      return take(peer, head.transfer, bytes);
    case Kind::kCancel:
      cancel(peer, head.transfer);
      return {};
    default:
      return Error{ErrorCode::kDataCorrupt,
                   fmt::format("kv message: expected one of a decode engine, got kind {}",
                               static_cast<int>(head.kind))};
  }
}

Status PrefillServer::greet(PeerId peer, std::span<const std::byte> bytes) {
  FATHOM_ASSIGN(const Hello hello, read_hello(bytes));
  FATHOM_TRY(check_hello(hello_, hello));
  peers_[peer].greeted = true;
  peers_[peer].wire = wire_format(hello_.format, hello.format);
  transport().send(peer, write_hello(hello_));
  return {};
}

Status PrefillServer::begin(PeerId peer, TransferId id, std::span<const std::byte> bytes) {
  if (find(peer, id) != nullptr) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("kv message: expected a new transfer, got {} again", id)};
  }
  const models::KvBlockFormat& wire = peers_[peer].wire;
  FATHOM_ASSIGN(auto wanted, read_ask(bytes, wire.block_size, engine_.max_context()));
  auto chain = prompt_chain(hello_.model_hash, wanted.cache_salt, wanted.tokens, wire.block_size);
  auto sink = std::make_shared<Sink>(
      hello_.format, wire, wanted, std::move(chain),
      [this, peer, id, thread = thread_](std::shared_ptr<engine::KvBlocks> some) {
        thread->post(
            [this, peer, id, some = std::move(some)] { send_blocks(peer, id, std::move(*some)); });
      });
  engine::Request request;
  request.prompt = std::move(wanted.tokens);
  request.sampling.max_tokens = 0;
  request.cache_salt = std::move(wanted.cache_salt);
  request.kv_sink = sink;
  request.kv_first_block = sink->cutter().first_needed();
  const engine::RequestId submitted = engine_.submit(
      std::move(request), [this, peer, id, thread = thread_](const engine::Event& event) {
        if (!event.finish || *event.finish == engine::FinishReason::kCancelled) return;
        thread->post(
            [this, peer, id, failure = event.error ? event.error->message : std::string()] {
              end(peer, id, failure);
            });
      });
  peers_[peer].transfers[id] = {.request = submitted, .sink = std::move(sink)};
  return {};
}

Status PrefillServer::take(PeerId peer, TransferId id, std::span<const std::byte> bytes) {
  FATHOM_ASSIGN(const int64_t count, read_taken(bytes));
  Transfer* transfer = find(peer, id);
  if (transfer == nullptr) return {};  // it has ended
  if (count > transfer->sink->under_way()) {
    return Error{ErrorCode::kDataCorrupt, "kv message: expected no more blocks taken than sent"};
  }
  transfer->sink->taken(count);
  transfer->stalled = 0;
  return {};
}

void PrefillServer::cancel(PeerId peer, TransferId id) {
  const Transfer* transfer = find(peer, id);
  if (transfer == nullptr) return;
  engine_.cancel(transfer->request);
  peers_[peer].transfers.erase(id);
}

void PrefillServer::send_blocks(PeerId peer, TransferId id, engine::KvBlocks blocks) {
  const Transfer* transfer = find(peer, id);
  if (transfer == nullptr) return;
  for (const auto& some : transfer->sink->cutter().add(std::move(blocks))) {
    transport().send(peer, write_blocks(id, some, transfer->sink->chain(some)));
    const std::lock_guard lock(mutex_);
    stats_.blocks += static_cast<uint64_t>(some.count);
    stats_.bytes += some.bytes.size();
  }
}

void PrefillServer::end(PeerId peer, TransferId id, const std::string& failure) {
  const Transfer* transfer = find(peer, id);
  if (transfer == nullptr) return;
  transport().send(peer, write_text(Kind::kEnd, id, failure));
  if (!failure.empty()) {
    count_failure(KvFailure::kRefused);
  } else {
    const std::lock_guard lock(mutex_);
    ++stats_.transfers;
    stats_.seconds += transfer->seconds;
  }
  peers_[peer].transfers.erase(id);
}

void PrefillServer::lost(PeerId peer, const std::string& reason) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;  // it has not said a word
  for (size_t i = 0; i < found->second.transfers.size(); ++i) count_failure(KvFailure::kLost);
  log_info("a decode engine is gone ({}), and {} transfers with it", reason,
           found->second.transfers.size());
  drop_transfers(found->second);
  peers_.erase(found);
}

void PrefillServer::drop_transfers(Peer& peer) {
  for (const auto& [id, transfer] : peer.transfers) engine_.cancel(transfer.request);
  peer.transfers.clear();
}

void PrefillServer::tick(TransferThread::Seconds elapsed) {
  since_alive_ += elapsed.count();
  const bool alive = since_alive_ >= kAliveEvery;
  if (alive) since_alive_ = 0;
  for (auto each = peers_.begin(); each != peers_.end();) {
    auto& [id, peer] = *each;
    if (peer.refused) {
      transport().close(id);
      each = peers_.erase(each);
      continue;
    }
    if (alive && peer.greeted) transport().send(id, write_bare(Kind::kAlive, 0));
    tick_transfers(id, peer, elapsed.count());
    ++each;
  }
}

// A peer that takes nothing in any more must not hold the engine's blocks for ever.
void PrefillServer::tick_transfers(PeerId id, Peer& peer, double elapsed) {
  for (auto each = peer.transfers.begin(); each != peer.transfers.end();) {
    auto& [number, transfer] = *each;
    transfer.seconds += elapsed;
    if (transfer.sink->under_way() > 0) transfer.stalled += elapsed;
    if (transfer.stalled < kStalled) {
      ++each;
      continue;
    }
    engine_.cancel(transfer.request);
    transport().send(id, write_text(Kind::kEnd, number, "the decode engine takes no blocks"));
    count_failure(KvFailure::kSlow);
    each = peer.transfers.erase(each);
  }
}

PrefillServer::Transfer* PrefillServer::find(PeerId peer, TransferId id) {
  auto& transfers = peers_[peer].transfers;
  const auto found = transfers.find(id);
  return found == transfers.end() ? nullptr : &found->second;
}

void PrefillServer::count_failure(KvFailure failure) {
  const std::lock_guard lock(mutex_);
  ++stats_.failures[static_cast<size_t>(failure)];
}

}  // namespace fathom::kvtransfer
