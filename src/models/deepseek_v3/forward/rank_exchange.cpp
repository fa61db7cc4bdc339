#include "models/deepseek_v3/forward/rank_exchange.h"

namespace fathom::models::deepseek_v3 {
namespace {

void expect_dense(const Tensor& x) {
  FATHOM_CHECK(x.stride[0] == x.shape[1] || x.shape[0] <= 1, "ranks: expected dense rows");
}

size_t bytes_of(const Tensor& x) {
  expect_dense(x);
  return static_cast<size_t>(x.shape[0] * x.shape[1]) *
         device::dtype_size(static_cast<fathom_dtype>(x.dtype));
}

// Fewer rows a rank cost more messages than they save work.
constexpr int64_t kLeastRowsDivided = 16;

bool rows_are_divided(const Step& step) {
  return step.ranks.tensor && step.at.x.shape[0] >= kLeastRowsDivided * step.shard.layout.tp;
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
  const Range own = part_of(x.shape[0], step.shard.place.tensor, step.shard.layout.tp);
  return device::rows(x, own.begin, own.size());
}

Status sum_rows(Step& step, const char* name, const Tensor& x) {
  if (!step.ranks.tensor || x.shape[0] == 0) return {};
  expect_dense(x);
  ChipGroup& ranks = step.links->tensor();
  const comm::Tag tag = step.ranks.tag(name);
  const auto dtype = static_cast<fathom_dtype>(x.dtype);
  if (!rows_are_divided(step)) {
    return ranks.all_reduce(tag, dtype, x.data, x.shape[0] * x.shape[1]);
  }
  return ranks.reduce_scatter(tag, dtype, x.data, own_rows(step, x).data,
                              step.links->parts().elements(x));
}

Status gather_rows(Step& step, const char* name, const Tensor& x) {
  if (!rows_are_divided(step)) return {};
  expect_dense(x);
  return step.links->tensor().all_gather(step.ranks.tag(name), own_rows(step, x).data, x.data,
                                         step.links->parts().bytes(x));
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
  return step.links->pipeline().send(step.ranks.tag("stream"),
                                     static_cast<int>(step.shard.place.stage) + 1, stream.data,
                                     bytes_of(stream));
}

Status receive_stream(Step& step) {
  const Tensor& stream = step.at.residual;
  if (stream.shape[0] == 0) return {};
  return step.links->pipeline().receive(step.ranks.tag("stream"),
                                        static_cast<int>(step.shard.place.stage) - 1, stream.data,
                                        bytes_of(stream));
}

}  // namespace fathom::models::deepseek_v3
