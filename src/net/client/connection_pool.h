// Keeps a client's connections for the next call and bounds how many there are to a host. Used on
// its loop's thread only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "net/client/connection.h"
#include "net/client/event.h"

namespace fathom::net {

struct PoolLimits {
  // To one scheme, host and port, in use and idle together, at least 1; further calls wait for
  // their turn.
  std::size_t max_per_host = 64;
  // Of all hosts together; the one that is idle longest is closed.
  std::size_t max_idle = 256;
  // Idle connections are closed after it. Shorter than the time servers keep them, so that a server
  // rarely closes one just as it is used.
  std::chrono::milliseconds idle_timeout{30'000};
};

struct PoolStats {
  std::size_t in_use = 0;
  std::size_t idle = 0;
  // Since the start: calls that got a kept connection, and those that had to open one.
  std::uint64_t reused = 0;
  std::uint64_t opened = 0;
};

class ConnectionPool : public std::enable_shared_from_this<ConnectionPool> {
 public:
  // One of a host's places; its destructor frees it.
  class Place {
   public:
    Place(std::shared_ptr<ConnectionPool> pool, std::string host,
          std::shared_ptr<ClientConnection> kept);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    // A kept connection, or null: then the caller opens one. The destructor closes it unless keep()
    // was called.
    std::shared_ptr<ClientConnection> connection;
    void keep() { keep_ = true; }

   private:
    std::shared_ptr<ConnectionPool> pool_;
    std::string host_;
    bool keep_ = false;
  };

  // A call's turn in the queue for a place: `event` is set once `place` is there. Destroying the
  // turn gives it up.
  struct Turn {
    explicit Turn(const Executor& executor) : event(executor) {}
    Event event;
    std::unique_ptr<Place> place;
  };

  ConnectionPool(const Executor& executor, const PoolLimits& limits);

  // Places are granted in the order of the calls. `host` is any text that identifies the host.
  std::shared_ptr<Turn> ask(const std::string& host);

  // Closes what is idle; from now on nothing is kept.
  void close();

  const PoolLimits& limits() const { return limits_; }
  PoolStats stats() const;

 private:
  using Clock = std::chrono::steady_clock;
  using Connection = std::shared_ptr<ClientConnection>;

  struct Host {
    std::size_t in_use = 0;
    std::size_t idle = 0;
    std::deque<std::weak_ptr<Turn>> waiting;  // only while all places are in use
  };
  struct Idle {
    std::string host;
    Connection connection;
    Clock::time_point until;
  };

  void grant(Turn& turn, const std::string& host, Connection kept);
  void give_back(const std::string& host, Connection kept);
  void store(const std::string& host, Connection connection);
  // The most recently used one that is still usable; null if there is none.
  Connection take_idle(const std::string& host);
  void drop_oldest();
  void forget_if_unused(const std::string& host);
  void close_expired();

  const Executor executor_;
  PoolLimits limits_;
  std::unordered_map<std::string, Host> hosts_;  // with places in use or idle
  std::list<Idle> idle_;                         // the longest idle first
  Timer timer_;                                  // until the first of them has expired
  std::uint64_t reused_ = 0;
  std::uint64_t opened_ = 0;
};

}  // namespace fathom::net
