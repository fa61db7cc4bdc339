#include "serving/membership.h"

#include "base/log.h"

namespace fathom::serving {

Membership::~Membership() {
  if (!world_) return;
  if (const auto left = world_->leave(); !left) log_error("{}", left.error().message);
}

}  // namespace fathom::serving
