// Ranks that are threads of one process and meet at barriers. Once a group is made its operations
// allocate nothing, so that what a model allocates in a step can be counted.
#pragma once

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "comm/group.h"

namespace fathom {

// What the ranks of a group share.
class Meeting {
 public:
  explicit Meeting(size_t size) : barrier(static_cast<std::ptrdiff_t>(size)), said(size) {
    boxes = std::vector<Box>(size * size);
  }

  struct Said {
    const void* data = nullptr;
    std::span<const size_t> bytes;
    std::pair<int, int> color_and_key;
  };
  struct Box {
    std::atomic<const void*> data = nullptr;
  };

  std::shared_ptr<Meeting> of_color(int number, int color, size_t size) {
    const std::lock_guard lock(mutex);
    auto& meeting = parts[{number, color}];
    if (!meeting) meeting = std::make_shared<Meeting>(size);
    return meeting;
  }

  // Of messages from one rank to another, where somebody wants to know.
  std::function<void(int from, std::string_view name, size_t bytes)> on_send;

  std::barrier<> barrier;
  std::vector<Said> said;  // by rank
  std::vector<Box> boxes;  // of messages, by sender and receiver
  std::mutex mutex;
  std::map<std::pair<int, int>, std::shared_ptr<Meeting>> parts;
};

class MeetingGroup final : public comm::Group {
 public:
  MeetingGroup(std::shared_ptr<Meeting> meeting, int rank)
      : meeting_(std::move(meeting)), rank_(rank), sums_(size_t{1} << 20) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(meeting_->said.size()); }

  Result<std::unique_ptr<comm::Group>> split(const comm::Tag&, int color, int key) override {
    own().color_and_key = {color, key};
    meet();
    std::vector<std::pair<int, int>> members;  // key, rank
    for (int rank = 0; rank < size(); ++rank) {
      const auto& [its_color, its_key] = of(rank).color_and_key;
      if (its_color == color) members.emplace_back(its_key, rank);
    }
    std::ranges::sort(members);
    const auto place = std::ranges::find(members, std::pair(key, rank_)) - members.begin();
    auto part = meeting_->of_color(splits_++, color, members.size());
    meet();
    return std::unique_ptr<comm::Group>(new MeetingGroup(std::move(part), static_cast<int>(place)));
  }

  Status all_reduce(const comm::Tag&, fathom_dtype, void* data, int64_t count) override {
    return sum(data, data, 0, count);
  }
  Status reduce_scatter(const comm::Tag&, fathom_dtype, const void* data, void* out,
                        std::span<const int64_t> counts) override {
    const auto own_count = counts.begin() + rank_;
    return sum(data, out, std::accumulate(counts.begin(), own_count, int64_t{0}), *own_count);
  }
  Status all_gather(const comm::Tag&, const void* data, void* all,
                    std::span<const size_t> bytes) override {
    say(data);
    auto* to = static_cast<std::byte*>(all);
    for (int rank = 0; rank < size(); ++rank) {
      const size_t count = bytes[static_cast<size_t>(rank)];
      if (count > 0 && of(rank).data != to) std::memcpy(to, of(rank).data, count);
      to += count;
    }
    meet();
    return {};
  }
  Status all_to_all(const comm::Tag&, const void* data, std::span<const size_t> data_bytes,
                    void* out, std::span<const size_t> out_bytes) override {
    own().bytes = data_bytes;
    say(data);
    auto* to = static_cast<std::byte*>(out);
    for (int rank = 0; rank < size(); ++rank) {
      const auto& sizes = of(rank).bytes;
      const size_t begin = std::accumulate(sizes.begin(), sizes.begin() + rank_, size_t{0});
      const size_t count = out_bytes[static_cast<size_t>(rank)];
      FATHOM_CHECK(sizes[static_cast<size_t>(rank_)] == count, "as many bytes as are expected");
      if (count > 0) std::memcpy(to, static_cast<const std::byte*>(of(rank).data) + begin, count);
      to += count;
    }
    meet();
    return {};
  }
  Status broadcast(const comm::Tag&, int root, void* data, size_t bytes) override {
    say(data);
    if (rank_ != root) std::memcpy(data, of(root).data, bytes);
    meet();
    return {};
  }
  Status barrier(const comm::Tag&) override {
    meet();
    return {};
  }
  Status send(const comm::Tag& tag, int to, const void* data, size_t bytes) override {
    if (meeting_->on_send) meeting_->on_send(rank_, tag.name, bytes);
    auto& box = this->box(rank_, to);
    box.store(data);
    while (box.load() != nullptr) std::this_thread::yield();
    return {};
  }
  Status receive(const comm::Tag&, int from, void* data, size_t bytes) override {
    auto& box = this->box(from, rank_);
    while (box.load() == nullptr) std::this_thread::yield();
    std::memcpy(data, box.load(), bytes);
    box.store(nullptr);
    return {};
  }
  Status await(const comm::Tag&, const std::function<Result<bool>()>& is_done) override {
    for (;;) {
      FATHOM_ASSIGN(const bool done, is_done());
      if (done) return {};
      std::this_thread::yield();
    }
  }
  Error explain(const Error& error) override { return error; }

 private:
  Meeting::Said& of(int rank) { return meeting_->said[static_cast<size_t>(rank)]; }
  Meeting::Said& own() { return of(rank_); }
  std::atomic<const void*>& box(int from, int to) {
    return meeting_->boxes[static_cast<size_t>(from * size() + to)].data;
  }
  void meet() { meeting_->barrier.arrive_and_wait(); }
  void say(const void* data) {
    own().data = data;
    meet();
  }

  // Of F32 numbers [begin, begin + count) of every rank's data.
  Status sum(const void* data, void* out, int64_t begin, int64_t count) {
    FATHOM_CHECK(static_cast<size_t>(count) <= sums_.size(), "no more than there is room for");
    say(data);
    std::fill_n(sums_.begin(), count, 0.0f);
    for (int rank = 0; rank < size(); ++rank) {
      const auto* its = static_cast<const float*>(of(rank).data) + begin;
      for (int64_t i = 0; i < count; ++i) sums_[static_cast<size_t>(i)] += its[i];
    }
    meet();
    std::copy_n(sums_.begin(), count, static_cast<float*>(out));
    meet();
    return {};
  }

  std::shared_ptr<Meeting> meeting_;
  const int rank_;
  int splits_ = 0;
  std::vector<float> sums_;
};

}  // namespace fathom
