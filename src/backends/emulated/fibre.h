// Switching between stacks of one thread of the host.
#pragma once

#include <cstddef>

#include <boost/context/detail/fcontext.hpp>

namespace fathom::emulated {

// Stacks for `count` fibres, each behind a page that faults: a kernel that needs more crashes there
// and not in its neighbour's.
class Stacks {
 public:
  explicit Stacks(int count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  // Its upper end, moved a little from one to the next so that they do not share cache sets.
  void* top(int index) const;
  static constexpr size_t kBytes = 128 * 1024;

 private:
  std::byte* memory_;
  size_t bytes_;
};

using Context = boost::context::detail::fcontext_t;
using Transfer = boost::context::detail::transfer_t;

inline Transfer jump(Context to, void* data) {
  return boost::context::detail::jump_fcontext(to, data);
}

inline Context make_context(void* top, void (*entry)(Transfer)) {
  return boost::context::detail::make_fcontext(top, Stacks::kBytes / 2, entry);
}

}  // namespace fathom::emulated
