#include "api/responses/store.h"

namespace fathom::api::responses {

namespace {
constexpr size_t kEntryBytes = 512;  // of the containers, about
}

void ResponseStore::put(const std::string& id, StoredResponse response) {
  const size_t bytes = response.response.size() + response.input.size() + kEntryBytes;
  const std::lock_guard lock(mutex_);
  drop_expired();
  if (bytes > limits_.max_bytes) return;
  while (bytes_ + bytes > limits_.max_bytes) drop(oldest_first_.begin());
  oldest_first_.push_back({id, std::make_shared<const StoredResponse>(std::move(response)), bytes,
                           now_() + limits_.lifetime});
  by_id_[id] = std::prev(oldest_first_.end());
  bytes_ += bytes;
}

std::shared_ptr<const StoredResponse> ResponseStore::find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  drop_expired();
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second->response;
}

bool ResponseStore::erase(const std::string& id) {
  const std::lock_guard lock(mutex_);
  drop_expired();
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return false;
  drop(found->second);
  return true;
}

size_t ResponseStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void ResponseStore::drop(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  by_id_.erase(entry->id);
  oldest_first_.erase(entry);
}

void ResponseStore::drop_expired() {
  const Clock::time_point now = now_();
  while (!oldest_first_.empty() && oldest_first_.front().expires <= now) {
    drop(oldest_first_.begin());
  }
}

}  // namespace fathom::api::responses
