// Draws of a model over several ranks: each data index's go to the rank that draws them, and rank 0
// takes in the tokens, and the logits that are asked for.
#include <algorithm>

#include "models/deepseek_v3/parallel_model.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr const char* kDrawsTag = "draws";
constexpr const char* kTokensTag = "tokens";

// What comes before the draws, which are laid out, and the numbers of rows to be read.
struct DrawsHead {
  LaidOutDraws draws;
  int64_t reads = 0;
};

}  // namespace

Status ParallelModel::begin_draws(const StepDraws& draws) {
  if (failure_) return *failure_;
  tokens_.resize(draws.draws.size());
  draws_.split(draws, first_logits_);
  if (const auto queued = queue_draws(); !queued) return fail(queued.error());
  return {};
}

Status ParallelModel::queue_draws() {
  for (size_t data = 0; data < has_draws_.size(); ++data) {
    const StepDraws its = draws_[data];
    has_draws_[data] = its.draws.empty() && its.read.empty() ? 0 : 1;
    drawn_here_[data] = false;
  }
  own_->begin_call(step_ + 1, 1);
  FATHOM_TRY(announce(writer_.write_draws(has_draws_)));
  for (size_t data = 0; data < has_draws_.size(); ++data) {
    if (has_draws_[data] != 0 && drawing_rank(data) != 0) FATHOM_TRY(send_draws(data));
  }
  FATHOM_TRY(own_->begin_draws(draws_[0]));
  for (size_t data = 0; data < has_draws_.size(); ++data) {
    if (drawn_here_[data]) FATHOM_TRY(draw_here(data));
  }
  return {};
}

// Lists for which there is no room are rank 0's to draw with, from all logits of the data index.
Status ParallelModel::send_draws(size_t data) {
  const StepDraws its = draws_[data];
  const auto laid_out = draw_layout_.lay_out(its, laid_out_.data());
  drawn_here_[data] = !laid_out;
  std::span<const int32_t> read = its.read;
  if (!laid_out) read = std::span(all_rows_).first(parts_[data].batch.logit_rows.size());
  const DrawsHead head = {.draws = laid_out.value_or(LaidOutDraws()),
                          .reads = static_cast<int64_t>(read.size())};
  const comm::Tag tag = {step_, kDrawsTag, {}};
  const int rank = drawing_rank(data);
  FATHOM_TRY(world_.send(tag, rank, &head, sizeof(head)));
  if (head.draws.count > 0) {
    FATHOM_TRY(world_.send(tag, rank, laid_out_.data(), static_cast<size_t>(head.draws.bytes)));
  }
  return read.empty() ? Status() : world_.send(tag, rank, read.data(), read.size_bytes());
}

// What draws point to is the caller's again behind begin_draws().
Status ParallelModel::draw_here(size_t data) {
  const StepDraws its = draws_[data];
  FATHOM_TRY(take_logits(data, parts_[data].batch.logit_rows.size(), {}));
  for (size_t i = 0; i < its.draws.size(); ++i) {
    const auto row = logits_at(first_logits_[data] + its.rows[i], 1);
    tokens_[draws_.places(data)[i]] = sampling::sample(row, its.draws[i], sampler_).value_or(-1);
  }
  return {};
}

// Rows that are read move to the front, in order: nobody needs those before them any more.
Result<StepResult> ParallelModel::finish_step() {
  if (failure_) return *failure_;
  const auto own = own_->finish_step();
  if (!own) return fail(own.error());
  size_t rows = 0;
  for (size_t data = 0; data < has_draws_.size(); ++data) {
    if (const auto taken = take_result(data, *own); !taken) return fail(taken.error());
    const std::span<const int32_t> read = draws_[data].read;
    for (size_t i = 0; i < read.size(); ++i) {
      const int64_t from = first_logits_[data] + (drawn_here_[data] ? read[i] : int64_t(i));
      const auto to = static_cast<int64_t>(rows++);
      if (to != from) std::ranges::copy(logits_at(from, 1), logits_at(to, 1).begin());
    }
  }
  return StepResult{.tokens = tokens_, .logits = logits_at(0, rows)};
}

Status ParallelModel::take_result(size_t data, const StepResult& own) {
  if (drawn_here_[data]) return {};
  const std::span<const size_t> places = draws_.places(data);
  std::span<const int32_t> tokens = own.tokens;
  if (const int rank = drawing_rank(data); rank != 0 && !places.empty()) {
    const std::span<int32_t> received = std::span(received_tokens_).first(places.size());
    FATHOM_TRY(
        world_.receive({step_, kTokensTag, {}}, rank, received.data(), received.size_bytes()));
    tokens = received;
  }
  for (size_t i = 0; i < places.size(); ++i) tokens_[places[i]] = tokens[i];
  return take_logits(data, draws_[data].read.size(), own.logits);
}

Status ParallelModel::take_logits(size_t data, size_t rows, std::span<const float> own) {
  if (rows == 0) return {};
  const std::span<float> to = logits_at(first_logits_[data], rows);
  if (const int rank = drawing_rank(data); rank != 0) {
    return world_.receive({step_, kLogitsTag, {}}, rank, to.data(), to.size_bytes());
  }
  std::ranges::copy(own, to.begin());
  return {};
}

std::span<float> ParallelModel::logits_at(int64_t row, size_t rows) {
  const auto vocab = static_cast<size_t>(vocab_size());
  return std::span(logits_).subspan(static_cast<size_t>(row) * vocab, rows * vocab);
}

int ParallelModel::drawing_rank(size_t data) const {
  const ParallelLayout& layout = own_->shard().layout;
  return static_cast<int>((layout.pp - 1) * layout.stage_ranks() +
                          static_cast<int64_t>(data) * layout.tp);
}

namespace {

Error bad_head() {
  return {ErrorCode::kDataCorrupt,
          "draws: expected as many as the limits allow: are all ranks the same version?"};
}

// Of the rank that draws them: what it is to draw comes, and goes to its chip.
Result<DrawsHead> begin_followed_draws(Model& own, comm::Group& world, const comm::Tag& tag,
                                       std::vector<int32_t>& read) {
  const RunLimits& limits = own.limits();
  DrawsHead head;
  FATHOM_TRY(world.receive(tag, 0, &head, sizeof(head)));
  const auto room =
      static_cast<int64_t>(DrawLayout::max_bytes(limits.max_logit_rows, own.vocab_size()));
  const auto fits = [&](int64_t count) { return count >= 0 && count <= limits.max_logit_rows; };
  if (!fits(head.draws.count) || !fits(head.reads) || head.draws.bytes < 0 ||
      head.draws.bytes > room) {
    return bad_head();
  }
  if (head.draws.count > 0) {
    FATHOM_TRY(world.receive(tag, 0, own.laid_out_draws(), static_cast<size_t>(head.draws.bytes)));
  }
  const std::span<int32_t> rows = std::span(read).first(static_cast<size_t>(head.reads));
  if (!rows.empty()) FATHOM_TRY(world.receive(tag, 0, rows.data(), rows.size_bytes()));
  FATHOM_TRY(own.begin_draws(head.draws, rows));
  return head;
}

}  // namespace

Status follow_draws(Model& own, comm::Group& world, int64_t step, bool has_draws,
                    std::vector<int32_t>& read) {
  if (!has_draws || !own.shard().draws()) {
    FATHOM_TRY(own.join_draws(has_draws));
    FATHOM_TRY(own.finish_step());
    return {};
  }
  FATHOM_TRY(begin_followed_draws(own, world, {step, kDrawsTag, {}}, read));
  FATHOM_ASSIGN(const StepResult result, own.finish_step());
  if (!result.tokens.empty()) {
    FATHOM_TRY(
        world.send({step, kTokensTag, {}}, 0, result.tokens.data(), result.tokens.size_bytes()));
  }
  if (result.logits.empty()) return {};
  return world.send({step, kLogitsTag, {}}, 0, result.logits.data(), result.logits.size_bytes());
}

}  // namespace fathom::models::deepseek_v3
