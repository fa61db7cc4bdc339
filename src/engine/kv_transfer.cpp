#include "engine/kv_transfer.h"

namespace fathom::engine {

const char* to_string(KvFailure failure) {
  switch (failure) {
    case KvFailure::kNoPeer:
      return "no_peer";
    case KvFailure::kLost:
      return "lost";
    case KvFailure::kSilent:
      return "silent";
    case KvFailure::kRefused:
      return "refused";
    case KvFailure::kDamaged:
      return "damaged";
    case KvFailure::kSlow:
      return "slow";
  }
  return "unknown";
}

}  // namespace fathom::engine
