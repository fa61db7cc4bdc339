// The messages of one operation: all are begun, then waited for together. Waiting looks without
// pause for a short time, then ever more rarely, up to once a millisecond: an idle engine costs
// next to nothing, and a busy one answers within microseconds.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "comm/health.h"
#include "comm/transport.h"
#include "comm/usage.h"

namespace fathom::comm {

class Exchange {
 public:
  // `spin`: how long to look without pause. The references must outlive the exchange.
  Exchange(Transport& transport, Health& health, std::chrono::microseconds spin, Usage& usage)
      : transport_(transport), health_(health), spin_(spin), usage_(usage) {}

  // Between begin() and end() lies one operation of this rank; it has until `deadline` from now.
  Status begin(const Progress& operation, Milliseconds deadline);
  // `peer` is a rank of the world. Nothing is sent for 0 bytes unless `even_empty`.
  void send(int peer, const void* data, size_t bytes, bool even_empty = false);
  void receive(int peer, void* data, size_t bytes, bool even_empty = false);
  // For what was begun since the last wait().
  Status wait();
  // Until `is_done` says so; who of `members` is late is named where the deadline comes first.
  Status wait_until(const std::function<Result<bool>()>& is_done, std::span<const int> members);
  // Ends the operation, with `status` or the first error there was.
  Status end(Status status);
  // Likewise one that sends nothing and takes no time of its own.
  Status leave(Status status);

 private:
  struct Message {
    Request request;
    int peer = 0;
    size_t bytes = 0;
    bool receive = false;
  };

  void start(int peer, void* data, size_t bytes, bool even_empty, bool receive);
  bool look();  // whether every message is done
  // Pauses; false where no time is left.
  struct Waited {
    std::chrono::steady_clock::time_point last;
    std::chrono::nanoseconds here{0};  // without looks that took no time, for the pauses
  };
  bool go_on(Waited& waited);
  Status overdue();
  void fail(int peer, const std::string& text);

  Transport& transport_;
  Health& health_;
  const std::chrono::microseconds spin_;
  Usage& usage_;
  std::chrono::steady_clock::time_point began_;
  std::vector<Message> messages_;
  std::vector<int> awaited_;
  int tag_ = 0;
  std::string text_;
  Milliseconds deadline_{0};
  std::chrono::nanoseconds waited_{0};  // in this operation, without pauses of the process
};

}  // namespace fathom::comm
