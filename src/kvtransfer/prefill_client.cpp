#include "kvtransfer/prefill_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "kvtransfer/block_cutter.h"

namespace fathom::kvtransfer {

using engine::KvFailure;

namespace {

constexpr double kSilent = 3;  // seconds without a word: six signs of life

engine::KvBlocks in_own_numbers(engine::KvBlocks blocks, fathom_dtype wire, fathom_dtype own) {
  if (wire == own) return blocks;
  Bytes converted(blocks.bytes.size() / device::dtype_size(wire) * device::dtype_size(own));
  convert_numbers(blocks.bytes, wire, converted, own);
  blocks.bytes = std::move(converted);
  return blocks;
}

}  // namespace

PrefillClient::PrefillClient(PrefillClientOptions options, std::unique_ptr<Transport> transport)
    : options_(std::move(options)), thread_(std::move(transport)) {
  for (const Address& address : options_.peers) peers_.push_back({.address = address});
}

PrefillClient::~PrefillClient() {
  thread_.stop();
}

void PrefillClient::start(engine::KvReceiver& receiver) {
  receiver_ = &receiver;
  thread_.post([this] {
    for (PeerState& peer : peers_) connect(peer);
  });
  thread_.start(*this, [this](auto elapsed) { tick(elapsed); });
}

void PrefillClient::fetch(uint64_t id, engine::KvWanted wanted) {
  auto shared = std::make_shared<engine::KvWanted>(std::move(wanted));
  thread_.post([this, id, shared] { begin(id, std::move(*shared)); });
}

void PrefillClient::cancel(uint64_t id) {
  thread_.post([this, id] { forget(id, true); });
}

void PrefillClient::taken(uint64_t id, int64_t count) {
  thread_.post([this, id, count] {
    const auto found = fetches_.find(id);
    if (found == fetches_.end()) return;  // all blocks are there
    Fetch& fetch = found->second;
    const int64_t stale = std::min(fetch.stale, count);  // they come in order
    fetch.stale -= stale;
    fetch.untaken -= count - stale;
    if (count == stale) return;
    thread_.transport().send(peers_[fetch.peer].id, write_taken(fetch.transfer, count - stale));
  });
}

engine::KvTransferStats PrefillClient::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void PrefillClient::begin(uint64_t id, engine::KvWanted wanted) {
  Fetch fetch;
  fetch.chain = prompt_chain(options_.hello.model_hash, wanted.cache_salt, wanted.tokens,
                             options_.hello.format.block_size);
  fetch.there.resize(static_cast<size_t>(wanted.blocks));
  fetch.tried.resize(peers_.size());
  fetch.wanted = std::move(wanted);
  Fetch& placed = fetches_[id] = std::move(fetch);
  ask(id, placed, KvFailure::kNoPeer);
}

// From the first block that is missing. Where nobody is left to ask, the fetch has failed; why is
// `otherwise`.
void PrefillClient::ask(uint64_t id, Fetch& fetch, KvFailure otherwise) {
  PeerState* peer = least_busy(fetch);
  if (peer == nullptr) {
    if (otherwise == KvFailure::kNoPeer) count_failure(otherwise);
    forget(id, false);
    receiver_->ended(id);
    return;
  }
  engine::KvWanted& wanted = fetch.wanted;
  const auto missing = std::ranges::find(fetch.there, false) - fetch.there.begin();
  wanted.first_block += missing;
  wanted.blocks -= missing;
  fetch.there.assign(static_cast<size_t>(wanted.blocks), false);
  fetch.stale += std::exchange(fetch.untaken, 0);
  fetch.peer = static_cast<size_t>(peer - peers_.data());
  fetch.tried[fetch.peer] = true;
  fetch.transfer = ++last_transfer_;
  fetch.waited = 0;
  ids_[fetch.transfer] = id;
  peer->blocks += wanted.blocks;
  thread_.transport().send(peer->id, write_ask(fetch.transfer, wanted));
}

PeerState* PrefillClient::least_busy(const Fetch& fetch) {
  PeerState* best = nullptr;
  for (size_t i = 0; i < peers_.size(); ++i) {
    const size_t at = (next_peer_ + i) % peers_.size();
    PeerState& peer = peers_[at];
    const bool fits = static_cast<int64_t>(fetch.wanted.tokens.size()) <= peer.max_context &&
                      fetch.wanted.cache_salt.size() <= kMaxSaltBytes;
    if (!peer.up() || fetch.tried[at] || !fits) continue;
    if (best == nullptr || peer.blocks < best->blocks) best = &peer;
  }
  if (best != nullptr) next_peer_ = static_cast<size_t>(best - peers_.data()) + 1;
  return best;
}

void PrefillClient::go_on_elsewhere(uint64_t id, KvFailure failure) {
  const auto found = fetches_.find(id);
  if (found == fetches_.end()) return;
  Fetch& fetch = found->second;
  count_failure(failure);
  ids_.erase(fetch.transfer);
  peers_[fetch.peer].blocks -= std::ranges::count(fetch.there, false);
  ask(id, fetch, failure);
}

void PrefillClient::forget(uint64_t id, bool tell_peer) {
  const auto found = fetches_.find(id);
  if (found == fetches_.end()) return;
  const Fetch& fetch = found->second;
  if (ids_.erase(fetch.transfer) > 0) {
    PeerState& peer = peers_[fetch.peer];
    peer.blocks -= std::ranges::count(fetch.there, false);
    if (tell_peer) {
      thread_.transport().send(peer.id, write_bare(Kind::kCancel, fetch.transfer));
    }
  }
  fetches_.erase(found);
}

void PrefillClient::message(PeerId id, std::vector<std::byte> bytes) {
  PeerState* peer = peer_of(id);
  if (peer == nullptr) return;
  peer->silent = 0;
  const auto good = read(*peer, bytes);
  if (!good) lose(*peer, KvFailure::kDamaged, good.error().message);
}

Status PrefillClient::read(PeerState& peer, std::span<const std::byte> bytes) {
  FATHOM_ASSIGN(const Head head, read_head(bytes));
  switch (head.kind) {
    case Kind::kHello:
      return meet(peer, bytes);
    case Kind::kRefusal:
      lose(peer, KvFailure::kRefused, "it refuses: " + read_text(bytes));
      return {};
    case Kind::kBlocks:
      return read_blocks_of(head.transfer, bytes);
    case Kind::kEnd: {
      // Blocks may still be on their way behind an end in order.
      const std::string failure = read_text(bytes);
      const auto found = ids_.find(head.transfer);
      if (failure.empty() || found == ids_.end()) return {};
      log_debug("prefill engine {}: {}", peer.address.text(), failure);
      go_on_elsewhere(found->second, KvFailure::kRefused);
      return {};
    }
    case Kind::kAlive:
      return {};
    default:
      return Error{ErrorCode::kDataCorrupt,
                   fmt::format("kv message: expected one of a prefill engine, got kind {}",
                               static_cast<int>(head.kind))};
  }
}

Status PrefillClient::read_blocks_of(TransferId transfer, std::span<const std::byte> bytes) {
  const auto known = ids_.find(transfer);
  if (known == ids_.end()) return {};  // cancelled, or asked for elsewhere by now
  const uint64_t id = known->second;
  Fetch& fetch = fetches_.at(id);
  const models::KvBlockFormat& wire = peers_[fetch.peer].wire;
  FATHOM_ASSIGN(auto blocks, read_blocks(bytes, wire, fetch.chain));
  if (blocks.first < fetch.wanted.first_block) {
    return Error{ErrorCode::kDataCorrupt, fmt::format("kv message: expected blocks from {} on, got "
                                                      "{}",
                                                      fetch.wanted.first_block, blocks.first)};
  }
  fetch.waited = 0;
  fetch.untaken += blocks.count;
  for (int64_t i = 0; i < blocks.count; ++i) {
    const auto at = static_cast<size_t>(blocks.first + i - fetch.wanted.first_block);
    if (!fetch.there[at]) --peers_[fetch.peer].blocks;
    fetch.there[at] = true;
  }
  {
    const std::lock_guard lock(mutex_);
    stats_.blocks += static_cast<uint64_t>(blocks.count);
    stats_.bytes += blocks.bytes.size();
  }
  receiver_->came(id, in_own_numbers(std::move(blocks), wire.dtype, options_.hello.format.dtype));
  if (std::ranges::find(fetch.there, false) != fetch.there.end()) return {};
  {
    const std::lock_guard lock(mutex_);
    ++stats_.transfers;
    stats_.seconds += fetch.seconds;
  }
  forget(id, false);
  receiver_->ended(id);
  return {};
}

Status PrefillClient::meet(PeerState& peer, std::span<const std::byte> bytes) {
  FATHOM_ASSIGN(const Hello hello, read_hello(bytes));
  FATHOM_TRY(check_hello(options_.hello, hello));
  peer.is_up();
  peer.max_context = hello.max_context;
  peer.wire = wire_format(hello.format, options_.hello.format);
  log_info("prefill engine {}: there", peer.address.text());
  return {};
}

void PrefillClient::lost(PeerId id, const std::string& reason) {
  PeerState* peer = peer_of(id);
  if (peer != nullptr) lose(*peer, KvFailure::kLost, reason);
}

void PrefillClient::connect(PeerState& peer) {
  auto connected = thread_.transport().connect(peer.address);
  if (!connected) {
    lose(peer, KvFailure::kLost, connected.error().message);
    return;
  }
  peer.connecting(*connected);
  thread_.transport().send(*connected, write_hello(options_.hello));
}

void PrefillClient::lose(PeerState& peer, KvFailure failure, const std::string& reason) {
  const auto at = static_cast<size_t>(&peer - peers_.data());
  std::vector<uint64_t> orphans;
  for (const auto& [id, fetch] : fetches_) {
    if (fetch.peer == at && ids_.contains(fetch.transfer)) orphans.push_back(id);
  }
  thread_.transport().close(peer.id);
  if (peer.is_down(reason)) {
    log_warning("prefill engine {}: not there ({}); {} transfers go on elsewhere",
                peer.address.text(), reason, orphans.size());
  }
  for (const uint64_t id : orphans) go_on_elsewhere(id, failure);
  peer.blocks = 0;
}

void PrefillClient::tick(TransferThread::Seconds elapsed) {
  for (PeerState& peer : peers_) {
    if (peer.state == PeerState::State::kDown) {
      peer.retry_in -= elapsed.count();
      if (peer.retry_in <= 0) connect(peer);
      continue;
    }
    peer.silent += elapsed.count();
    if (peer.silent > kSilent) {
      lose(peer, KvFailure::kSilent, fmt::format("silent for {} s", kSilent));
    }
  }
  std::vector<uint64_t> late;
  for (auto& [id, fetch] : fetches_) {
    fetch.seconds += elapsed.count();
    fetch.waited += elapsed.count();
    if (fetch.waited > options_.deadline) late.push_back(id);
  }
  for (const uint64_t id : late) {
    const Fetch& fetch = fetches_.at(id);
    thread_.transport().send(peers_[fetch.peer].id, write_bare(Kind::kCancel, fetch.transfer));
    go_on_elsewhere(id, KvFailure::kSlow);
  }
}

void PrefillClient::count_failure(KvFailure failure) {
  const std::lock_guard lock(mutex_);
  ++stats_.failures[static_cast<size_t>(failure)];
}

PeerState* PrefillClient::peer_of(PeerId id) {
  const auto found = std::ranges::find(peers_, id, &PeerState::id);
  return found == peers_.end() ? nullptr : &*found;
}

}  // namespace fathom::kvtransfer
