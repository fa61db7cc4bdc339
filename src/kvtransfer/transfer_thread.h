// The thread on which an engine talks to others about KV blocks: everything its owner does with
// the transport happens there. It sleeps while there is nothing to do.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kvtransfer/transport.h"

namespace fathom::kvtransfer {

class TransferThread {
 public:
  using Seconds = std::chrono::duration<double>;

  explicit TransferThread(std::unique_ptr<Transport> transport)
      : transport_(std::move(transport)) {}
  ~TransferThread() { stop(); }  // not the thread's own to call
  TransferThread(const TransferThread&) = delete;
  TransferThread& operator=(const TransferThread&) = delete;

  // On the thread, and before start().
  Transport& transport() { return *transport_; }

  // tick() is called ten times a second with the time since the last call; of a pause of the whole
  // process it hears little, for others paused as well.
  void start(TransportHandler& handler, std::function<void(Seconds)> tick);
  // After it nothing is called any more, and every peer is closed.
  void stop();
  // Thread-safe: has `work` done on the thread, in order. After stop() nothing happens.
  void post(std::function<void()> work);

 private:
  void run(TransportHandler& handler, const std::function<void(Seconds)>& tick);
  bool do_posted();

  std::unique_ptr<Transport> transport_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace fathom::kvtransfer
