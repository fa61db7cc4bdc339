// When an operation has to be done, and the timeout that this follows from.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>

namespace fathom::net {

struct Deadline {
  using Clock = std::chrono::steady_clock;

  static Deadline after(std::chrono::milliseconds given) { return {Clock::now() + given, given}; }
  static Deadline none() { return {Clock::time_point::max(), {}}; }

  // The reason that an error gives.
  std::string missed() const { return "no answer within " + std::to_string(given.count()) + " ms"; }

  Clock::time_point at;
  std::chrono::milliseconds given;
};

inline Deadline earlier(const Deadline& a, const Deadline& b) {
  return a.at < b.at ? a : b;
}

}  // namespace fathom::net
