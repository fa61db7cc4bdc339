#include "gateway/fleet.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace fathom::gateway {
namespace {

constexpr std::chrono::milliseconds kLookAgain{10};

bool serves(const rpc::LinkStatus& status) {
  return status.state == rpc::LinkState::kServing;
}

}  // namespace

Fleet::Fleet(rpc::Transport& transport, FleetOptions options) : options_(std::move(options)) {
  for (const std::string& address : options_.engines) {
    links_.push_back(std::make_shared<rpc::EngineLink>(
        transport,
        rpc::LinkOptions{
            .address = address, .security = options_.security, .gateway = options_.gateway}));
  }
  clock_ = std::thread([this] { run(); });
}

Fleet::~Fleet() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  clock_.join();
  cancel_all();
  for (const auto& link : links_) link->close();
  // The last events may still be on their way to their listeners.
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return relays_.empty(); });
}

void Fleet::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const Clock::time_point now = Clock::now();
    for (const auto& link : links_) link->tick(now);
    for (const auto& relay : relays()) relay->tick(now);
    lock.lock();
    changed_.wait_for(lock, options_.tick, [this] { return stopping_; });
  }
}

engine::RequestId Fleet::submit(engine::Request request, engine::Listener listener) {
  const engine::RequestId id = ++last_id_;
  // A seed, so that the answer can go on elsewhere with the same noise.
  if (!request.sampling.seed) {
    const std::lock_guard lock(mutex_);
    request.sampling.seed = random_();
  }
  if (draining_) {
    engine::Event event;
    event.finish = engine::FinishReason::kRefused;
    event.error = Error{ErrorCode::kUnavailable, "the server is shutting down"};
    listener(event);
    return id;
  }
  RelayHost& host = *this;
  std::shared_ptr<Relay> relay;
  {
    const std::lock_guard lock(mutex_);
    const auto first = relays_.find(request.part_of);
    relay =
        std::make_shared<Relay>(host, options_.limits, id, std::move(request), std::move(listener),
                                first == relays_.end() ? nullptr : first->second);
    relays_.emplace(id, relay);
  }
  relay->start();
  return id;
}

void Fleet::cancel(engine::RequestId id) {
  std::shared_ptr<Relay> relay;
  {
    const std::lock_guard lock(mutex_);
    const auto found = relays_.find(id);
    if (found == relays_.end()) return;
    relay = found->second;
  }
  relay->cancel();
}

void Fleet::cancel_all() {
  for (const auto& relay : relays()) relay->cancel();
}

void Fleet::forget(engine::RequestId id) {
  const std::lock_guard lock(mutex_);
  relays_.erase(id);
  changed_.notify_all();
}

std::vector<std::shared_ptr<Relay>> Fleet::relays() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Relay>> all;
  all.reserve(relays_.size());
  for (const auto& [id, relay] : relays_) all.push_back(relay);
  return all;
}

bool Fleet::idle() const {
  const std::lock_guard lock(mutex_);
  return relays_.empty();
}

std::shared_ptr<rpc::EngineLink> Fleet::choose(const rpc::EngineLink* avoid,
                                               const std::optional<rpc::Manifest>& kind) {
  struct Candidate {
    std::shared_ptr<rpc::EngineLink> link;
    int64_t load;
  };
  // The best first: of the same kind, of another one, and the one to be avoided.
  std::vector<Candidate> ranks[3];
  for (const auto& link : links_) {
    const rpc::LinkStatus status = link->status();
    if (!serves(status)) continue;
    const bool equal = !kind || status.welcome.manifest == *kind;
    ranks[link.get() == avoid ? 2 : equal ? 0 : 1].push_back({link, status.attempts});
  }
  const auto best = std::find_if(std::begin(ranks), std::end(ranks),
                                 [](const auto& rank) { return !rank.empty(); });
  if (best == std::end(ranks)) return nullptr;
  const std::vector<Candidate>& from = *best;
  const std::lock_guard lock(mutex_);
  std::uniform_int_distribution<size_t> any(0, from.size() - 1);
  const Candidate& one = from[any(random_)];
  const Candidate& two = from[any(random_)];
  return one.load <= two.load ? one.link : two.link;
}

std::vector<rpc::LinkStatus> Fleet::engines() const {
  std::vector<rpc::LinkStatus> all;
  for (const auto& link : links_) all.push_back(link->status());
  return all;
}

std::optional<rpc::Welcome> Fleet::wait_for_engine(std::chrono::milliseconds most) {
  const Clock::time_point end = Clock::now() + most;
  while (true) {
    for (const rpc::LinkStatus& status : engines()) {
      if (serves(status)) return status.welcome;
    }
    if (Clock::now() >= end) return std::nullopt;
    std::this_thread::sleep_for(kLookAgain);
  }
}

engine::EngineStats Fleet::stats() const {
  engine::EngineStats sum;
  for (const rpc::LinkStatus& status : engines()) {
    const rpc::Load& load = status.load;
    sum.running += load.running;
    sum.max_running += load.max_running;
    sum.waiting += load.waiting;
    sum.kv_blocks_total += load.kv_blocks_total;
    sum.kv_blocks_used += load.kv_blocks_used;
    sum.prompt_tokens += load.prompt_tokens;
    sum.generated_tokens += load.generated_tokens;
    sum.prefix_cache_queries += load.prefix_cache_queries;
    sum.prefix_cache_hits += load.prefix_cache_hits;
    sum.preemptions += load.preemptions;
  }
  return sum;
}

int64_t Fleet::waiting(uint64_t owner) const {
  int64_t count = 0;
  for (const auto& relay : relays()) count += relay->owner() == owner && relay->waits() ? 1 : 0;
  return count;
}

int64_t Fleet::vocab_size() const {
  for (const rpc::LinkStatus& status : engines()) {
    if (status.welcome.vocab_size > 0) return status.welcome.vocab_size;
  }
  return 0;
}

models::KvBlockFormat Fleet::kv_block_format() const {
  return {};
}

int64_t Fleet::max_context() const {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const rpc::LinkStatus& status : engines()) {
    if (status.welcome.max_context > 0) least = std::min(least, status.welcome.max_context);
  }
  return least;
}

}  // namespace fathom::gateway
