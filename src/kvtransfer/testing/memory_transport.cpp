#include "kvtransfer/testing/memory_transport.h"

#include <optional>
#include <utility>

namespace fathom::kvtransfer {

class MemoryTransport final : public Transport {
 public:
  explicit MemoryTransport(MemoryNetwork& network) : network_(network) {}
  ~MemoryTransport() override {
    const std::lock_guard lock(network_.mutex_);
    std::erase_if(network_.listeners_, [&](const auto& each) { return each.second == this; });
    close_all("the other side has ended");
  }

  Result<uint16_t> listen(const Address& address) override {
    const std::lock_guard lock(network_.mutex_);
    network_.listeners_[address.port] = this;
    return address.port;
  }

  Result<PeerId> connect(const Address& address) override {
    const std::lock_guard lock(network_.mutex_);
    const PeerId own = ++network_.last_;
    const PeerId theirs = ++network_.last_;
    network_.ends_[own] = {this, theirs};
    const auto listener = network_.listeners_.find(address.port);
    if (listener == network_.listeners_.end()) {
      network_.ends_[theirs] = {nullptr, own};
      add({own, {}, "nobody is there"});
    } else {
      network_.ends_[theirs] = {listener->second, own};
    }
    return own;
  }

  void send(PeerId peer, std::vector<std::byte> bytes) override {
    const std::lock_guard lock(network_.mutex_);
    const auto own = network_.ends_.find(peer);
    if (own == network_.ends_.end() || own->second.transport != this) return;
    const PeerId other = own->second.other;
    MemoryTransport* to = network_.ends_[other].transport;
    if (to == nullptr) return;
    if (network_.tamper_) network_.tamper_(bytes);
    to->add({other, std::move(bytes), {}});
  }

  void close(PeerId peer) override {
    const std::lock_guard lock(network_.mutex_);
    end(peer, "closed");
  }

  bool progress(TransportHandler& handler) override {
    std::deque<Event> events;
    {
      const std::lock_guard lock(mutex_);
      events.swap(events_);
    }
    for (Event& event : events) {
      {
        const std::lock_guard lock(network_.mutex_);
        if (network_.ends_[event.peer].transport != this) continue;  // closed meanwhile
        if (event.lost) network_.ends_[event.peer].transport = nullptr;
      }
      if (event.lost) {
        handler.lost(event.peer, *event.lost);
      } else {
        handler.message(event.peer, std::move(event.bytes));
      }
    }
    return !events.empty();
  }

  void wait(std::chrono::milliseconds most) override {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, most, [this] { return woken_ || !events_.empty(); });
    woken_ = false;
  }

  void wake() override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }

  // Needs the network's mutex.
  void close_all(const std::string& reason) {
    for (const auto& [peer, state] : network_.ends_) {
      if (state.transport == this) end(peer, reason);
    }
  }

 private:
  struct Event {
    PeerId peer = 0;
    std::vector<std::byte> bytes;
    std::optional<std::string> lost;
  };

  void add(Event event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_one();
  }

  void end(PeerId peer, const std::string& reason) {
    const auto own = network_.ends_.find(peer);
    if (own == network_.ends_.end() || own->second.transport != this) return;
    own->second.transport = nullptr;
    const PeerId other = own->second.other;
    MemoryTransport* to = network_.ends_[other].transport;
    if (to != nullptr) to->add({other, {}, reason});
  }

  MemoryNetwork& network_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  bool woken_ = false;
};

std::unique_ptr<Transport> MemoryNetwork::make() {
  return std::make_unique<MemoryTransport>(*this);
}

void MemoryNetwork::cut(uint16_t port) {
  const std::lock_guard lock(mutex_);
  const auto found = listeners_.find(port);
  if (found == listeners_.end()) return;
  found->second->close_all("cut");
  listeners_.erase(found);
}

void MemoryNetwork::set_tamper(Tamper tamper) {
  const std::lock_guard lock(mutex_);
  tamper_ = std::move(tamper);
}

}  // namespace fathom::kvtransfer
