#include "base/testing/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<bool> g_counting = false;
std::atomic<int64_t> g_allocations = 0;
constexpr int64_t kUnlimited = -1;
thread_local int64_t t_good_left = kUnlimited;
thread_local size_t t_at_least = 0;
thread_local bool t_failed = false;

bool fails(size_t bytes) noexcept {
  if (t_good_left == kUnlimited || bytes < t_at_least) return false;
  if (t_good_left > 0) {
    --t_good_left;
    return false;
  }
  t_failed = true;
  return true;
}

void* counted(size_t bytes) noexcept {
  if (g_counting.load(std::memory_order_relaxed)) ++g_allocations;
  if (fails(bytes)) return nullptr;
  return std::malloc(bytes == 0 ? 1 : bytes);
}

void* counted_or_throw(size_t bytes) {
  if (void* memory = counted(bytes)) return memory;
  throw std::bad_alloc();
}

void* counted_aligned(size_t bytes, std::align_val_t alignment) {
  const auto align = static_cast<size_t>(alignment);
  if (g_counting.load(std::memory_order_relaxed)) ++g_allocations;
  if (fails(bytes)) throw std::bad_alloc();
  if (void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align)) return memory;
  throw std::bad_alloc();
}

}  // namespace

namespace fathom {

AllocationCounter::AllocationCounter() {
  g_allocations = 0;
  g_counting = true;
}

AllocationCounter::~AllocationCounter() {
  g_counting = false;
}

int64_t AllocationCounter::stop() {
  g_counting = false;
  return g_allocations;
}

AllocationFailure::AllocationFailure(int64_t good, size_t at_least) {
  t_failed = false;
  t_at_least = at_least;
  t_good_left = good;
}

AllocationFailure::~AllocationFailure() {
  t_good_left = kUnlimited;
}

bool AllocationFailure::happened() const {
  return t_failed;
}

}  // namespace fathom

// Every form is replaced: a sanitizer's own would not match these when memory is given back.
// GCC pairs new with free() across them and warns of what is right here.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(size_t bytes) {
  return counted_or_throw(bytes);
}
void* operator new[](size_t bytes) {
  return counted_or_throw(bytes);
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return counted(bytes);
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return counted(bytes);
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return counted_aligned(bytes, alignment);
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return counted_aligned(bytes, alignment);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
