// What ranks pass to each other outside attention and feed-forward layers: embeddings, sums and the
// stream between stages. Memory is the host's wherever there are several ranks.
#include <cstring>

#include "models/deepseek_v3/step.h"

namespace fathom::models::deepseek_v3 {
namespace {

size_t row_bytes(const Tensor& x) {
  return static_cast<size_t>(x.shape[1]) * device::dtype_size(static_cast<fathom_dtype>(x.dtype));
}

int64_t neighbour(const Step& step, int64_t stages) {
  return step.ranks.world->rank() + stages * step.share.layout.stage_ranks();
}

}  // namespace

// A rank with a part of the vocabulary finds its own tokens; the sum over ranks is all of them.
Status embed(Step& step, const Weight& table, const Tensor& out) {
  const auto& at = step.at;
  if (!step.ranks.tensor) return ops::embed(step.ops, at.tokens, table, out);
  const Range& own = step.share.tokens;
  for (int64_t row = 0; row < out.shape[0]; ++row) {
    const int64_t token = at.tokens[row];
    at.own_tokens[row] = static_cast<int32_t>(own.contains(token) ? token - own.begin : 0);
  }
  FATHOM_TRY(ops::embed(step.ops, at.own_tokens, table, out));
  FATHOM_TRY(step.ops.device.synchronize());
  for (int64_t row = 0; row < out.shape[0]; ++row) {
    if (own.contains(at.tokens[row])) continue;
    std::memset(device::offset(out, row * out.stride[0]), 0, row_bytes(out));
  }
  return all_reduce(step, "embedding", out);
}

Status all_reduce(Step& step, const char* name, const Tensor& x) {
  if (!step.ranks.tensor || x.shape[0] == 0) return {};
  FATHOM_TRY(step.ops.device.synchronize());
  return step.ranks.tensor->all_reduce(step.ranks.tag(name), static_cast<fathom_dtype>(x.dtype),
                                       x.data, x.shape[0] * x.shape[1]);
}

Status send_stream(Step& step) {
  const Tensor& stream = step.at.residual;
  if (stream.shape[0] == 0) return {};
  FATHOM_TRY(ops::add(step.ops, stream, step.at.x));
  FATHOM_TRY(step.ops.device.synchronize());
  return step.ranks.world->send(step.ranks.tag("stream"), static_cast<int>(neighbour(step, 1)),
                                stream.data,
                                static_cast<size_t>(stream.shape[0]) * row_bytes(stream));
}

Status receive_stream(Step& step) {
  const Tensor& stream = step.at.residual;
  if (stream.shape[0] == 0) return {};
  return step.ranks.world->receive(step.ranks.tag("stream"), static_cast<int>(neighbour(step, -1)),
                                   stream.data,
                                   static_cast<size_t>(stream.shape[0]) * row_bytes(stream));
}

}  // namespace fathom::models::deepseek_v3
