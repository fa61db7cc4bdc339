// What waits to be written to a stream: at most a number of bytes, for a peer that reads slowly
// must not fill this process's memory. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <utility>

namespace fathom::rpc {

template <typename Message>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t most_bytes) : most_bytes_(most_bytes) {}

  // False where there is no room; one message always has room in an empty queue, for its size is
  // bounded by who makes it.
  bool push(Message message) {
    const size_t bytes = message.ByteSizeLong();
    if (!messages_.empty() && bytes > most_bytes_ - std::min(bytes_, most_bytes_)) return false;
    bytes_ += bytes;
    messages_.emplace_back(std::move(message), bytes);
    return true;
  }
  bool empty() const { return messages_.empty(); }
  const Message& front() const { return messages_.front().first; }
  void pop() {
    bytes_ -= messages_.front().second;
    messages_.pop_front();
  }

 private:
  const size_t most_bytes_;
  size_t bytes_ = 0;
  std::deque<std::pair<Message, size_t>> messages_;
};

}  // namespace fathom::rpc
