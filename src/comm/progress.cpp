#include "comm/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace fathom::comm {

const char* to_string(Operation operation) {
  switch (operation) {
    case Operation::kNone:
      return "none";
    case Operation::kAllReduce:
      return "all_reduce";
    case Operation::kReduceScatter:
      return "reduce_scatter";
    case Operation::kAllGather:
      return "all_gather";
    case Operation::kAllToAll:
      return "all_to_all";
    case Operation::kBroadcast:
      return "broadcast";
    case Operation::kBarrier:
      return "barrier";
    case Operation::kSplit:
      return "split";
    case Operation::kSend:
      return "send";
    case Operation::kReceive:
      return "receive";
    case Operation::kAwait:
      return "await";
  }
  return "unknown";
}

std::string operation_text(const Progress& progress) {
  if (progress.operation == Operation::kNone) return "none";
  const auto* end = std::find(std::begin(progress.name), std::end(progress.name), '\0');
  return fmt::format("{} {} of step {}", to_string(progress.operation),
                     std::string_view(progress.name, static_cast<size_t>(end - progress.name)),
                     progress.step);
}

}  // namespace fathom::comm
