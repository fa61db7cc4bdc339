#include "comm/testing/memory_transport.h"

#include <condition_variable>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace fathom::comm {

// Sent messages that were not taken, and the ranks that wait to start or stop.
class MemorySwitch {
 public:
  struct Message {
    Channel channel;
    int from;
    int to;
    int tag;
    std::vector<std::byte> bytes;
    std::shared_ptr<bool> taken;
  };
  struct Pending {
    bool receive = false;
    std::shared_ptr<bool> sent;
    Channel channel{};
    int from = 0;
    int tag = 0;
    void* data = nullptr;
    size_t bytes = 0;
  };

  MemorySwitch(int ranks, size_t eager_bytes) : size(ranks), eager(eager_bytes) {}

  void meet() {
    std::unique_lock lock(mutex);
    const int round = arrived / size;
    ++arrived;
    changed.notify_all();
    changed.wait(lock, [&] { return arrived / size > round; });
  }

  const int size;
  const size_t eager;
  std::mutex mutex;
  std::condition_variable changed;
  int arrived = 0;
  std::list<Message> messages;
  std::map<uint64_t, Pending> pending;
  uint64_t next = 1;
  std::set<std::pair<int, Channel>> cut;
};

namespace {

class MemoryTransport final : public Transport {
 public:
  MemoryTransport(MemorySwitch& all, int rank) : all_(all), rank_(rank) {}

  const char* start() override {
    all_.meet();
    return nullptr;
  }
  const char* stop() override {
    all_.meet();
    return nullptr;
  }
  int rank() const override { return rank_; }
  int size() const override { return all_.size; }
  int max_tag() const override { return 0x7fffffff; }

  const char* send(Channel channel, int to, int tag, const void* data, size_t bytes,
                   Request* request) override {
    const std::lock_guard lock(all_.mutex);
    auto taken = std::make_shared<bool>(bytes <= all_.eager);
    const auto* begin = static_cast<const std::byte*>(data);
    if (!all_.cut.contains({rank_, channel})) {
      std::vector<std::byte> copy(bytes);
      if (bytes > 0) std::memcpy(copy.data(), begin, bytes);
      all_.messages.push_back({channel, rank_, to, tag, std::move(copy), taken});
    }
    request->handle = all_.next++;
    all_.pending[request->handle].sent = taken;
    return nullptr;
  }

  const char* receive(Channel channel, int from, int tag, void* data, size_t bytes,
                      Request* request) override {
    const std::lock_guard lock(all_.mutex);
    request->handle = all_.next++;
    all_.pending[request->handle] = {true, nullptr, channel, from, tag, data, bytes};
    return nullptr;
  }

  const char* test(Request* request, bool* done, size_t* received) override {
    const std::lock_guard lock(all_.mutex);
    const auto found = all_.pending.find(request->handle);
    const MemorySwitch::Pending& wanted = found->second;
    *done = !wanted.receive && *wanted.sent;
    if (wanted.receive) {
      for (auto it = all_.messages.begin(); it != all_.messages.end(); ++it) {
        const bool match = it->channel == wanted.channel && it->to == rank_ &&
                           it->tag == wanted.tag &&
                           (wanted.from == kAnyPeer || it->from == wanted.from);
        if (!match) continue;
        if (it->bytes.size() > wanted.bytes) return "message is too long";
        if (!it->bytes.empty()) std::memcpy(wanted.data, it->bytes.data(), it->bytes.size());
        *received = it->bytes.size();
        *it->taken = true;
        all_.messages.erase(it);
        *done = true;
        break;
      }
    }
    if (*done) all_.pending.erase(found);
    return nullptr;
  }

 private:
  MemorySwitch& all_;
  const int rank_;
};

}  // namespace

MemoryJob::MemoryJob(int size, size_t eager)
    : switch_(std::make_unique<MemorySwitch>(size, eager)) {
  for (int rank = 0; rank < size; ++rank) {
    transports_.push_back(std::make_unique<MemoryTransport>(*switch_, rank));
  }
}

MemoryJob::~MemoryJob() = default;

void MemoryJob::cut(int rank, Channel channel) {
  const std::lock_guard lock(switch_->mutex);
  switch_->cut.insert({rank, channel});
}

}  // namespace fathom::comm
