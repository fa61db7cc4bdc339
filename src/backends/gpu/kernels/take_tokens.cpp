#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kTakeThreads = 128;

GPU_KERNEL void take_tokens(Global<int32_t> tokens, int64_t count, Global<const int32_t> drawn) {
  const int64_t i = block_x() * threads() + thread();
  if (i >= count) return;
  const int32_t token = load(tokens, i);
  if (token < -1) store(tokens, i, load(drawn, -2 - int64_t{token}));
}

fathom_status supports_take_tokens(const void*) {
  return FATHOM_OK;
}

fathom_status queue_take_tokens(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_take_tokens_args*>(bytes);
  if (args.num_tokens == 0) return FATHOM_OK;
  const Shape shape = {(args.num_tokens + kTakeThreads - 1) / kTakeThreads, 1, 1, kTakeThreads, 0};
  return launch(queue, "take_tokens", shape, take_tokens, args.tokens, args.num_tokens, args.drawn);
}

}  // namespace

const Kernel kTakeTokens = {supports_take_tokens, nullptr, queue_take_tokens};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
