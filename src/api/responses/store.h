// Responses that later ones go on from. Kept as JSON text, so that their size is known: the oldest
// go first when a time or an amount of memory is over. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace fathom::api::responses {

struct StoredResponse {
  std::string response;  // the response object
  std::string input;     // all items it answers: earlier turns' and its own
};

struct StoreLimits {
  std::chrono::seconds lifetime{3600};
  size_t max_bytes = 256 << 20;  // of text; a response larger than that is not kept
};

class ResponseStore {
 public:
  using Clock = std::chrono::steady_clock;
  explicit ResponseStore(StoreLimits limits, std::function<Clock::time_point()> now = Clock::now)
      : limits_(limits), now_(std::move(now)) {}

  void put(const std::string& id, StoredResponse response);
  std::shared_ptr<const StoredResponse> find(const std::string& id);  // null if there is none
  bool erase(const std::string& id);
  size_t bytes() const;

 private:
  struct Entry {
    std::string id;
    std::shared_ptr<const StoredResponse> response;
    size_t bytes;
    Clock::time_point expires;
  };
  void drop(std::list<Entry>::iterator entry);
  void drop_expired();

  StoreLimits limits_;
  std::function<Clock::time_point()> now_;
  mutable std::mutex mutex_;  // guards all below
  std::list<Entry> oldest_first_;
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
  size_t bytes_ = 0;
};

}  // namespace fathom::api::responses
