// What ranks pass to each other outside attention and feed-forward layers: embeddings, sums and the
// stream between stages. They exchange the host's memory (staging.h).
#include "models/deepseek_v3/step.h"

namespace fathom::models::deepseek_v3 {
namespace {

size_t bytes_of(const Tensor& x) {
  FATHOM_CHECK(x.stride[0] == x.shape[1] || x.shape[0] <= 1, "ranks: expected dense rows");
  return static_cast<size_t>(x.shape[0] * x.shape[1]) *
         device::dtype_size(static_cast<fathom_dtype>(x.dtype));
}

// From the first byte of x to that of some of its rows.
size_t offset_in(const Tensor& x, const Tensor& part) {
  return static_cast<size_t>(static_cast<std::byte*>(part.data) - static_cast<std::byte*>(x.data));
}

// Fewer rows a rank cost more messages than they save work.
constexpr int64_t kLeastRowsDivided = 16;

bool rows_are_divided(const Step& step) {
  return step.ranks.tensor && step.at.x.shape[0] >= kLeastRowsDivided * step.share.layout.tp;
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
    FATHOM_TRY(ops::embed(step.ops, step.in.logit_rows, as_table(at.q), at.logit_q));
    FATHOM_TRY(ops::embed(step.ops, step.in.logit_rows, as_table(at.residual), at.logit_hidden));
  }
  at = cut(at, 0, kept.count(), 0, kept.count());
  at.q = at.logit_q;
  at.residual = at.logit_hidden;
  step.given = step.in.sequences[kKeptGiven];
  step.generated = step.in.sequences[kKeptGenerated];
  return {};
}

Status sum_rows(Step& step, const char* name, const Tensor& x) {
  if (!step.ranks.tensor || x.shape[0] == 0) return {};
  Staging& staging = step.staging->rows;
  auto* data = static_cast<std::byte*>(staging.host(x.data));
  FATHOM_TRY(staging.fetch(x.data, bytes_of(x)));
  FATHOM_TRY(step.ops.device.synchronize());
  comm::Group& ranks = *step.ranks.tensor;
  const comm::Tag tag = step.ranks.tag(name);
  const auto dtype = static_cast<fathom_dtype>(x.dtype);
  if (!rows_are_divided(step)) {
    FATHOM_TRY(ranks.all_reduce(tag, dtype, data, x.shape[0] * x.shape[1]));
    return staging.put(x.data, bytes_of(x));
  }
  const Tensor own = own_rows(step, x);
  const size_t offset = offset_in(x, own);
  FATHOM_TRY(
      ranks.reduce_scatter(tag, dtype, data, data + offset, step.staging->parts.elements(x)));
  return staging.put(x.data, bytes_of(own), offset);
}

Status gather_rows(Step& step, const char* name, const Tensor& x) {
  if (!rows_are_divided(step)) return {};
  Staging& staging = step.staging->rows;
  auto* data = static_cast<std::byte*>(staging.host(x.data));
  const Tensor own = own_rows(step, x);
  const size_t offset = offset_in(x, own);
  FATHOM_TRY(staging.fetch(x.data, bytes_of(own), offset));
  FATHOM_TRY(step.ops.device.synchronize());
  FATHOM_TRY(step.ranks.tensor->all_gather(step.ranks.tag(name), data + offset, data,
                                           step.staging->parts.bytes(x)));
  return staging.put(x.data, bytes_of(x));
}

// A rank with a part of the vocabulary has its own tokens' embeddings and zeros; the sum over ranks
// is all of them.
Status embed(Step& step, const Weight& table, const Tensor& out) {
  FATHOM_TRY(ops::embed(step.ops, step.in.tokens, table, out));
  return sum_rows(step, "embedding", out);
}

Status send_stream(Step& step) {
  const Tensor& stream = step.at.residual;
  if (stream.shape[0] == 0) return {};
  FATHOM_TRY(ops::add(step.ops, own_rows(step, stream), own_rows(step, step.at.x)));
  FATHOM_TRY(gather_rows(step, "stream_rows", stream));
  Staging& staging = step.staging->rows;
  FATHOM_TRY(staging.fetch(stream.data, bytes_of(stream)));
  FATHOM_TRY(step.ops.device.synchronize());
  return step.ranks.world->send(step.ranks.tag("stream"), static_cast<int>(neighbour(step, 1)),
                                staging.host(stream.data), bytes_of(stream));
}

Status receive_stream(Step& step) {
  const Tensor& stream = step.at.residual;
  if (stream.shape[0] == 0) return {};
  Staging& staging = step.staging->rows;
  FATHOM_TRY(step.ops.device.synchronize());  // which may still read what was there
  FATHOM_TRY(step.ranks.world->receive(step.ranks.tag("stream"),
                                       static_cast<int>(neighbour(step, -1)),
                                       staging.host(stream.data), bytes_of(stream)));
  return staging.put(stream.data, bytes_of(stream));
}

}  // namespace fathom::models::deepseek_v3
