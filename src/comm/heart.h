// The thread that tells the other ranks that this one lives, and hears of them. Every rank sends
// its Progress to rank 0; rank 0 sends the table of all to every rank. With n ranks and a beat of
// 250 ms rank 0 handles 8 n small messages a second and sends 350 n^2 bytes.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "comm/health.h"
#include "comm/transport.h"

namespace fathom::comm {

class Heart {
 public:
  // Both must outlive the heart. `beat`: time between two signs of life.
  Heart(Transport& transport, Health& health, Milliseconds beat);
  // Ends the thread, although the others may not have finished.
  ~Heart();
  Heart(const Heart&) = delete;
  Heart& operator=(const Heart&) = delete;

  // Waits until every rank has called Health::finish(), so that no message is under way, or until a
  // finding has been told.
  void wait_for_end() { thread_.join(); }
  // Rises while the thread is not stuck in the transport.
  int64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }

 private:
  struct Line {  // to one peer
    Request request;
    std::vector<Progress> message;
    bool busy = false;
    bool last_sent = false;
  };

  void run();
  void round(bool beat);
  void report_trouble(const char* text);
  void listen();
  void take_in(size_t bytes);
  bool send_to(int peer, std::vector<Progress> message);
  void tell_rank_0();
  void tell_everyone();
  bool done() const;

  Transport& transport_;
  Health& health_;
  const Milliseconds beat_;
  std::vector<Line> lines_;
  std::vector<Progress> inbox_;
  Request incoming_;
  bool listening_ = false;
  bool closing_ = false;  // the last table has come, or is to be sent
  bool troubled_ = false;
  std::atomic<bool> stopped_{false};
  std::atomic<int64_t> rounds_{0};
  std::thread thread_;
};

}  // namespace fathom::comm
