// Responses that later ones continue, visible to their owner alone. Kept as JSON text, so that
// their size is known. Entries are removed when they expire; when memory is short, the oldest of
// the owner who uses most goes first, so an owner within an equal share loses nothing to others.
// Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
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
  size_t max_bytes = 256 << 20;          // of text, all owners'
  size_t max_response_bytes = 16 << 20;  // of one response; a larger one is not kept
};

class ResponseStore {
 public:
  using Clock = std::chrono::steady_clock;
  explicit ResponseStore(StoreLimits limits, std::function<Clock::time_point()> now = Clock::now)
      : limits_(limits), now_(std::move(now)) {}

  void put(const std::string& owner, const std::string& id, StoredResponse response);
  // Null, and false, if the owner has none of that id.
  std::shared_ptr<const StoredResponse> find(const std::string& owner, const std::string& id);
  bool erase(const std::string& owner, const std::string& id);
  size_t bytes() const;

 private:
  struct Entry {
    std::string id;
    std::shared_ptr<const StoredResponse> response;
    size_t bytes;
    Clock::time_point expires;
  };
  // The responses of one owner, in the order that they came.
  struct Shelf {
    std::list<Entry> oldest_first;
    std::unordered_map<std::string, std::list<Entry>::iterator> by_id;
    size_t bytes = 0;
  };
  using Shelves = std::map<std::string, Shelf>;  // by owner; none is empty

  void drop(Shelves::iterator shelf, std::list<Entry>::iterator entry);
  Shelves::iterator largest();
  void drop_expired();

  StoreLimits limits_;
  std::function<Clock::time_point()> now_;
  mutable std::mutex mutex_;  // guards all below
  Shelves shelves_;
  size_t bytes_ = 0;
};

}  // namespace fathom::api::responses
