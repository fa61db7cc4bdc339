// A one-shot event that one coroutine waits for. Used on its loop's thread only.
#pragma once

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "net/socket.h"

namespace fathom::net {

class Event {
 public:
  explicit Event(const Executor& executor) : timer_(executor) {}

  void set() {
    is_set_ = true;
    timer_.cancel();
  }
  bool is_set() const { return is_set_; }

  // Returns when it is set, or at `time`.
  Awaitable<void> wait_until(std::chrono::steady_clock::time_point time) {
    if (is_set_) co_return;
    constexpr boost::asio::use_awaitable_t<Executor> kAwait;
    boost::system::error_code ignored;
    timer_.expires_at(time);
    co_await timer_.async_wait(boost::asio::redirect_error(kAwait, ignored));
  }

 private:
  Timer timer_;
  bool is_set_ = false;
};

}  // namespace fathom::net
