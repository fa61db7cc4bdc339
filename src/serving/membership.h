// This process among the ranks of a job.
#pragma once

#include <memory>

#include "comm/group.h"
#include "comm/world.h"

namespace fathom::serving {

// Takes part in the job until its end, which is orderly: every rank waits for the others.
class Membership {
 public:
  explicit Membership(std::unique_ptr<comm::World> world) : world_(std::move(world)) {}
  Membership(Membership&&) = default;
  Membership& operator=(Membership&&) = delete;
  ~Membership();

  const comm::World& world() const { return *world_; }
  comm::Group& ranks() { return world_->group(); }

 private:
  std::unique_ptr<comm::World> world_;
};

}  // namespace fathom::serving
