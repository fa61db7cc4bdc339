#include "net/client/connection_pool.h"

#include <algorithm>
#include <utility>

namespace fathom::net {

ConnectionPool::Place::Place(std::shared_ptr<ConnectionPool> pool, std::string host,
                             std::shared_ptr<ClientConnection> kept)
    : connection(std::move(kept)), pool_(std::move(pool)), host_(std::move(host)) {}

ConnectionPool::Place::~Place() {
  if (connection && !keep_) connection->close();
  pool_->give_back(host_, keep_ ? std::move(connection) : nullptr);
}

ConnectionPool::ConnectionPool(const Executor& executor, const PoolLimits& limits)
    : executor_(executor), limits_(limits), timer_(executor) {}

std::shared_ptr<ConnectionPool::Turn> ConnectionPool::ask(const std::string& host) {
  auto turn = std::make_shared<Turn>(executor_);
  Connection kept = take_idle(host);
  Host& at = hosts_[host];
  if (kept || at.in_use < limits_.max_per_host) {
    ++at.in_use;
    grant(*turn, host, std::move(kept));
  } else {
    std::erase_if(at.waiting, [](const auto& other) { return other.expired(); });
    at.waiting.push_back(turn);
  }
  return turn;
}

void ConnectionPool::grant(Turn& turn, const std::string& host, Connection kept) {
  ++(kept ? reused_ : opened_);
  turn.place = std::make_unique<Place>(shared_from_this(), host, std::move(kept));
  turn.event.set();
}

void ConnectionPool::give_back(const std::string& host, Connection kept) {
  Host& at = hosts_[host];
  while (!at.waiting.empty()) {
    const auto next = at.waiting.front().lock();
    at.waiting.pop_front();
    if (next) return grant(*next, host, std::move(kept));
  }
  --at.in_use;
  if (kept && limits_.max_idle > 0) store(host, std::move(kept));
  forget_if_unused(host);
}

void ConnectionPool::store(const std::string& host, Connection connection) {
  if (idle_.size() == limits_.max_idle) drop_oldest();
  ++hosts_[host].idle;
  idle_.push_back({host, std::move(connection), Clock::now() + limits_.idle_timeout});
  if (idle_.size() == 1) close_expired();
}

ConnectionPool::Connection ConnectionPool::take_idle(const std::string& host) {
  for (auto idle = idle_.end(); idle != idle_.begin();) {
    --idle;
    if (idle->host != host) continue;
    const Connection connection = std::move(idle->connection);
    idle = idle_.erase(idle);
    --hosts_[host].idle;
    if (connection->is_quiet()) return connection;
    connection->close();
  }
  return nullptr;
}

void ConnectionPool::drop_oldest() {
  const Idle oldest = std::move(idle_.front());
  idle_.pop_front();
  oldest.connection->close();
  --hosts_[oldest.host].idle;
  forget_if_unused(oldest.host);
}

void ConnectionPool::forget_if_unused(const std::string& host) {
  const auto found = hosts_.find(host);
  if (found->second.in_use == 0 && found->second.idle == 0) hosts_.erase(found);
}

void ConnectionPool::close_expired() {
  while (!idle_.empty() && idle_.front().until <= Clock::now()) drop_oldest();
  if (idle_.empty()) return;
  timer_.expires_at(idle_.front().until);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (error) return;
    if (const auto self = weak.lock()) self->close_expired();
  });
}

void ConnectionPool::close() {
  limits_.max_idle = 0;
  timer_.cancel();
  while (!idle_.empty()) drop_oldest();
}

PoolStats ConnectionPool::stats() const {
  PoolStats stats{0, idle_.size(), reused_, opened_};
  for (const auto& [name, host] : hosts_) stats.in_use += host.in_use;
  return stats;
}

}  // namespace fathom::net
