#include "jinja/heap.h"

#include <fmt/format.h>

#include "jinja/error.h"

namespace fathom::jinja {

void Heap::fail_steps() const {
  fail_limit(
      fmt::format("expected at most {} steps for this conversation, got more", limits_.steps));
}

void Heap::fail_text() const {
  fail_limit(
      fmt::format("expected texts of at most {} bytes, got a longer one", limits_.text_bytes));
}

void Heap::fail_live() const {
  fail_limit(
      fmt::format("expected values of at most {} bytes together, got more", limits_.live_bytes));
}

}  // namespace fathom::jinja
