// Counts the steps of one rendering and the bytes that its values hold, and enforces the limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "jinja/limits.h"

namespace fathom::jinja {

class Heap {
 public:
  explicit Heap(const RenderLimits& limits) : limits_(limits) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // Counts work done or about to be done; fails when the rendering has used up its steps.
  void step(std::uint64_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) fail_steps();
  }
  void work(std::size_t bytes) { step(1 + bytes / kBytesAStep); }

  // Fails unless a string of `bytes` may exist.
  void check_text(std::size_t bytes) const {
    if (bytes > limits_.text_bytes) fail_text();
  }

  void grow(std::size_t bytes) {
    if (bytes > limits_.live_bytes - live_bytes_) fail_live();
    live_bytes_ += bytes;
  }
  void shrink(std::size_t bytes) { live_bytes_ -= bytes; }

  std::uint64_t steps() const { return steps_; }
  std::size_t live_bytes() const { return live_bytes_; }

 private:
  static constexpr std::size_t kBytesAStep = 64;

  [[noreturn]] void fail_steps() const;
  [[noreturn]] void fail_text() const;
  [[noreturn]] void fail_live() const;

  RenderLimits limits_;
  std::uint64_t steps_ = 0;
  std::size_t live_bytes_ = 0;
};

// Bytes charged to a heap; the destructor gives them back. Without a heap (for literals of a parsed
// template, which outlive renderings) it charges nothing.
class Charge {
 public:
  Charge() = default;
  explicit Charge(Heap* heap, std::size_t bytes = 0) : heap_(heap) { add(bytes); }
  Charge(Charge&& other) noexcept
      : heap_(std::exchange(other.heap_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(heap_, other.heap_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (heap_ != nullptr) heap_->shrink(bytes_);
  }

  void add(std::size_t bytes) {
    if (heap_ == nullptr) return;
    heap_->grow(bytes);
    bytes_ += bytes;
  }

 private:
  Heap* heap_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace fathom::jinja
