#include "engine/request.h"

namespace fathom::engine {

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
    case FinishReason::kRefused:
      return "refused";
  }
  return "unknown";
}

}  // namespace fathom::engine
