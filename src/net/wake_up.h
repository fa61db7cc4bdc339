// Wakes an exchange's connection from a handler's thread, even when no memory is left.
#pragma once

#include <atomic>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "net/server_context.h"

namespace fathom::net {

// Memory for one posted call at a time. One is enough: a call that is still pending will see
// whatever has changed meanwhile.
class WakeMemory {
 public:
  bool claim() noexcept { return !claimed_.exchange(true); }
  void* take(std::size_t bytes) { return bytes <= sizeof(bytes_) ? bytes_ : ::operator new(bytes); }
  // The call is about to be made.
  void give_back(void* memory) noexcept {
    if (memory != bytes_) ::operator delete(memory);
    claimed_ = false;
  }

 private:
  alignas(std::max_align_t) std::byte bytes_[256];
  std::atomic<bool> claimed_ = false;
};

template <typename T>
class WakeAllocator {
 public:
  using value_type = T;

  explicit WakeAllocator(std::shared_ptr<WakeMemory> memory) noexcept
      : memory_(std::move(memory)) {}
  template <typename Other>
  WakeAllocator(const WakeAllocator<Other>& other) noexcept : memory_(other.memory_) {}

  T* allocate(std::size_t count) { return static_cast<T*>(memory_->take(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t) noexcept { memory_->give_back(memory); }
  friend bool operator==(const WakeAllocator& a, const WakeAllocator& b) noexcept {
    return a.memory_ == b.memory_;
  }

  std::shared_ptr<WakeMemory> memory_;
};

// Posts `function` to the loop's thread, unless it is pending there already. Each `function` needs
// a WakeMemory of its own. Callable from any thread.
template <typename Function>
void post_wake_up(Loop& loop, const std::shared_ptr<WakeMemory>& memory, Function function) {
  struct Call {
    using allocator_type = WakeAllocator<void>;
    allocator_type get_allocator() const noexcept { return allocator_type(memory); }
    void operator()() { function(); }
    Function function;
    std::shared_ptr<WakeMemory> memory;
  };
  if (memory->claim()) boost::asio::post(loop.io, Call{std::move(function), memory});
}

}  // namespace fathom::net
