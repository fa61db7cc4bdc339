// What ranks pass to each other outside attention and feed-forward layers: embeddings, sums and the
// stream between stages. Memory is the host's wherever there are several ranks.
#include <cstring>
#include <vector>

#include "models/deepseek_v3/step.h"

namespace fathom::models::deepseek_v3 {
namespace {

size_t row_bytes(const Tensor& x) {
  return static_cast<size_t>(x.shape[1]) * device::dtype_size(static_cast<fathom_dtype>(x.dtype));
}

// Fewer rows a rank cost more messages than they save work.
constexpr int64_t kLeastRowsDivided = 16;

bool rows_are_divided(const Step& step) {
  return step.ranks.tensor && step.at.x.shape[0] >= kLeastRowsDivided * step.share.layout.tp;
}

// Elements of each rank's rows of x.
std::vector<int64_t> elements_of_rows(const Step& step, const Tensor& x) {
  std::vector<int64_t> counts;
  for (int64_t rank = 0; rank < step.share.layout.tp; ++rank) {
    counts.push_back(part_of(x.shape[0], rank, step.share.layout.tp).size() * x.shape[1]);
  }
  return counts;
}

int64_t neighbour(const Step& step, int64_t stages) {
  return step.ranks.world->rank() + stages * step.share.layout.stage_ranks();
}

}  // namespace

Weight as_table(const Tensor& rows) {
  return {.data = rows.data,
          .scale = nullptr,
          .dtype = rows.dtype,
          .block_n = 0,
          .block_k = 0,
          .layout = FATHOM_LAYOUT_ROWS,
          .n = rows.shape[0],
          .k = rows.shape[1]};
}

Tensor own_rows(const Step& step, const Tensor& x) {
  if (!rows_are_divided(step)) return x;
  const Range own = part_of(x.shape[0], step.share.place.tensor, step.share.layout.tp);
  return device::rows(x, own.begin, own.size());
}

Status keep_rows(Step& step, const KeptRows& kept) {
  auto& at = step.at;
  FATHOM_TRY(gather_rows(step, "kept", at.residual));
  if (kept.count() > 0) {
    FATHOM_TRY(ops::embed(step.ops, at.logit_rows, as_table(at.q), at.logit_q));
    FATHOM_TRY(ops::embed(step.ops, at.logit_rows, as_table(at.residual), at.logit_hidden));
  }
  at = cut(at, 0, kept.count(), 0, kept.count());
  at.q = at.logit_q;
  at.residual = at.logit_hidden;
  step.given = kept.given();
  step.generated = kept.generated();
  return {};
}

Status sum_rows(Step& step, const char* name, const Tensor& x) {
  if (!step.ranks.tensor || x.shape[0] == 0) return {};
  FATHOM_TRY(step.ops.device.synchronize());
  comm::Group& ranks = *step.ranks.tensor;
  const comm::Tag tag = step.ranks.tag(name);
  const auto dtype = static_cast<fathom_dtype>(x.dtype);
  if (!rows_are_divided(step)) {
    return ranks.all_reduce(tag, dtype, x.data, x.shape[0] * x.shape[1]);
  }
  return ranks.reduce_scatter(tag, dtype, x.data, own_rows(step, x).data,
                              elements_of_rows(step, x));
}

Status gather_rows(Step& step, const char* name, const Tensor& x) {
  if (!rows_are_divided(step)) return {};
  FATHOM_TRY(step.ops.device.synchronize());
  const size_t width = device::dtype_size(static_cast<fathom_dtype>(x.dtype));
  std::vector<size_t> bytes;
  for (const int64_t count : elements_of_rows(step, x)) {
    bytes.push_back(static_cast<size_t>(count) * width);
  }
  return step.ranks.tensor->all_gather(step.ranks.tag(name), own_rows(step, x).data, x.data, bytes);
}

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
  return sum_rows(step, "embedding", out);
}

Status send_stream(Step& step) {
  const Tensor& stream = step.at.residual;
  if (stream.shape[0] == 0) return {};
  FATHOM_TRY(ops::add(step.ops, own_rows(step, stream), own_rows(step, step.at.x)));
  FATHOM_TRY(gather_rows(step, "stream_rows", stream));
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
