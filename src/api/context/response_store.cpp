#include "api/context/response_store.h"

#include <algorithm>

namespace fathom::api::responses {

namespace {
constexpr size_t kEntryBytes = 512;  // of the containers, about
}

void ResponseStore::put(const std::string& owner, const std::string& id, StoredResponse response) {
  const size_t bytes = response.response.size() + response.input.size() + kEntryBytes;
  const std::lock_guard lock(mutex_);
  drop_expired();
  if (bytes > std::min(limits_.max_bytes, limits_.max_response_bytes)) return;
  Shelf& shelf = shelves_[owner];
  shelf.oldest_first.push_back({id, std::make_shared<const StoredResponse>(std::move(response)),
                                bytes, now_() + limits_.lifetime});
  shelf.by_id[id] = std::prev(shelf.oldest_first.end());
  shelf.bytes += bytes;
  bytes_ += bytes;
  while (bytes_ > limits_.max_bytes) {
    const auto most = largest();
    drop(most, most->second.oldest_first.begin());
  }
}

std::shared_ptr<const StoredResponse> ResponseStore::find(const std::string& owner,
                                                          const std::string& id) {
  const std::lock_guard lock(mutex_);
  drop_expired();
  const auto shelf = shelves_.find(owner);
  if (shelf == shelves_.end()) return nullptr;
  const auto found = shelf->second.by_id.find(id);
  return found == shelf->second.by_id.end() ? nullptr : found->second->response;
}

bool ResponseStore::erase(const std::string& owner, const std::string& id) {
  const std::lock_guard lock(mutex_);
  drop_expired();
  const auto shelf = shelves_.find(owner);
  if (shelf == shelves_.end()) return false;
  const auto found = shelf->second.by_id.find(id);
  if (found == shelf->second.by_id.end()) return false;
  drop(shelf, found->second);
  return true;
}

size_t ResponseStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

ResponseStore::Shelves::iterator ResponseStore::largest() {
  return std::ranges::max_element(
      shelves_, {}, [](const Shelves::value_type& shelf) { return shelf.second.bytes; });
}

// A shelf is removed with its last entry.
void ResponseStore::drop(Shelves::iterator shelf, std::list<Entry>::iterator entry) {
  Shelf& entries = shelf->second;
  bytes_ -= entry->bytes;
  entries.bytes -= entry->bytes;
  entries.by_id.erase(entry->id);
  entries.oldest_first.erase(entry);
  if (entries.oldest_first.empty()) shelves_.erase(shelf);
}

void ResponseStore::drop_expired() {
  const Clock::time_point now = now_();
  for (auto shelf = shelves_.begin(); shelf != shelves_.end();) {
    const auto next = std::next(shelf);
    auto& entries = shelf->second.oldest_first;
    const auto fresh =
        std::ranges::find_if(entries, [now](const Entry& each) { return each.expires > now; });
    for (auto old = std::distance(entries.begin(), fresh); old > 0; --old) {
      drop(shelf, entries.begin());
    }
    shelf = next;
  }
}

}  // namespace fathom::api::responses
