#include "models/deepseek_v3/parallel_model.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <utility>

#include "base/log.h"

namespace fathom::models::deepseek_v3 {
namespace {

// Until rank 0 has something to do; whether it lives is the watch's to see.
constexpr std::chrono::hours kIdle(24 * 365);

// With 2 pp microbatches two thirds of a pipeline's time are worked. With fewer rows each, reading
// the weights again costs more than waiting.
constexpr int64_t kMicrobatchesAStage = 2;
constexpr int64_t kMicrobatchRows = 32;

RunLimits limits_of(const Model& model) {
  RunLimits limits = model.limits();
  limits.data_indices = model.shard().layout.dp;
  return limits;
}

}  // namespace

ParallelModel::ParallelModel(std::unique_ptr<Model> own, comm::Group& world, int64_t balance_steps)
    : own_(std::move(own)),
      world_(world),
      kv_blocks_(*own_, world),
      limits_(limits_of(*own_)),
      parts_(limits_),
      writer_(limits_),
      balance_steps_(own_->config().n_routed_experts > 0 ? balance_steps : 0),
      draws_(limits_.data_indices, limits_.max_logit_rows),
      draw_layout_(limits_.max_logit_rows, own_->vocab_size()),
      sampler_(own_->vocab_size()) {
  const auto rows = static_cast<size_t>(limits_.max_logit_rows);
  const auto indices = static_cast<size_t>(limits_.data_indices);
  logits_.resize(rows * indices * static_cast<size_t>(vocab_size()));
  tokens_.reserve(rows * indices);
  received_tokens_.resize(rows);
  first_logits_.resize(indices + 1);
  has_draws_.resize(indices);
  drawn_here_.resize(indices);
  laid_out_.resize(DrawLayout::max_bytes(limits_.max_logit_rows, vocab_size()));
  all_rows_.resize(rows);
  std::iota(all_rows_.begin(), all_rows_.end(), 0);
}

ParallelModel::~ParallelModel() {
  if (failure_) return;
  if (const auto told = announce(StepKind::kEnd, 1); !told) log_error("{}", told.error().message);
}

Status ParallelModel::begin_step(const StepBatch& batch) {
  if (balance_steps_ > 0 && !failure_ && since_balance_ == balance_steps_) {
    since_balance_ = 0;
    if (const auto balanced = balance(); !balanced) return fail(balanced.error());
  }
  ++since_balance_;
  return call(StepKind::kForward, batch, {}, [this] { return own_->begin_step(parts_[0].batch); });
}

Result<std::span<const float>> ParallelModel::draft(const StepBatch& batch,
                                                    std::span<const int32_t> rows) {
  const auto gather = [&]() -> Status {
    std::span<const float> own;
    if (own_->shard().is_last()) {
      FATHOM_ASSIGN(own, own_->draft(parts_[0].batch, parts_[0].sources));
    }
    for (size_t data = 0; data < parts_.size(); ++data) {
      FATHOM_TRY(take_logits(data, parts_[data].batch.logit_rows.size(), own));
    }
    return {};
  };
  FATHOM_TRY(call(StepKind::kDraft, batch, rows, gather));
  return std::span<const float>(logits_at(0, batch.logit_rows.size()));
}

Status ParallelModel::call(StepKind kind, const StepBatch& batch, std::span<const int32_t> rows,
                           const std::function<Status()>& own) {
  if (failure_) return *failure_;
  parts_.split(batch, rows);
  for (size_t data = 0; data < parts_.size(); ++data) {
    first_logits_[data + 1] =
        first_logits_[data] + static_cast<int64_t>(parts_[data].batch.logit_rows.size());
  }
  const int64_t count = kind == StepKind::kForward ? microbatches() : 1;
  if (const auto told = announce(kind, count); !told) return fail(told.error());
  if (const auto done = own(); !done) return fail(done.error());
  return {};
}

// What a client hears. The log has the rank, its host and its last operation.
Error ParallelModel::fail(const Error& error) {
  failure_ = error;
  if (error.code == ErrorCode::kUnavailable) {
    failure_->message = "model: a rank of it is lost, so it starts again; try again soon";
  }
  return *failure_;
}

Status ParallelModel::balance() {
  FATHOM_TRY(announce(StepKind::kBalance, 1));
  FATHOM_ASSIGN(ExpertBalance balance, own_->balance());
  if (own_->shard().layout.redundant > 0) {
    log_info("experts placed anew: the busiest rank had {:.2f} times the mean, would have {:.2f}",
             balance.before, balance.after);
  }
  for (size_t i = 0; loads_ && i < balance.loads.size(); ++i) {
    const std::vector<double>& earlier = (*loads_)[i].tokens;
    std::vector<double>& tokens = balance.loads[i].tokens;
    std::ranges::transform(tokens, earlier, tokens.begin(), std::plus<>());
  }
  loads_ = std::make_shared<const ExpertLoads>(std::move(balance.loads));
  return {};
}

Status ParallelModel::read_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                                     std::span<std::byte> out) {
  const BlockList list = {data_index, blocks};
  return call_blocks(StepKind::kReadBlocks, list,
                     [&] { return kv_blocks_.gather(step_, list, out); });
}

Status ParallelModel::write_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                                      std::span<const std::byte> in) {
  const BlockList list = {data_index, blocks};
  return call_blocks(StepKind::kWriteBlocks, list,
                     [&] { return kv_blocks_.scatter(step_, list, in); });
}

Status ParallelModel::call_blocks(StepKind kind, const BlockList& list,
                                  const std::function<Status()>& call) {
  if (failure_) return *failure_;
  if (const auto told = announce(writer_.write(kind, list)); !told) return fail(told.error());
  if (const auto done = call(); !done) return fail(done.error());
  return {};
}

int64_t ParallelModel::microbatches() const {
  const int64_t stages = own_->shard().layout.pp;
  if (stages == 1) return 1;
  return std::clamp<int64_t>(parts_.most_rows() / kMicrobatchRows, 1, kMicrobatchesAStage * stages);
}

Status ParallelModel::announce(StepKind kind, int64_t microbatches) {
  own_->begin_call(step_ + 1, microbatches);
  return announce(writer_.write(kind, microbatches, parts_));
}

Status ParallelModel::announce(std::span<std::byte> message) {
  ++step_;
  const comm::Tag tag = {step_, "plan", {}};
  FATHOM_TRY(world_.broadcast(tag, 0, message.data(), kMessageStart));
  message = message.subspan(kMessageStart);
  if (message.empty()) return {};
  return world_.broadcast(tag, 0, message.data(), message.size());
}

Status follow(Model& own, comm::Group& world) {
  StepMessageReader reader(limits_of(own), own.shard().place.data);
  const std::span<std::byte> memory = reader.memory();
  std::vector<int32_t> read(static_cast<size_t>(own.limits().max_logit_rows));
  for (int64_t step = 1;; ++step) {
    FATHOM_TRY(world.broadcast({step, "plan", kIdle}, 0, memory.data(), kMessageStart));
    FATHOM_ASSIGN(const size_t size, reader.size());
    if (size > kMessageStart) {
      FATHOM_TRY(world.broadcast({step, "plan", {}}, 0, memory.data() + kMessageStart,
                                 size - kMessageStart));
    }
    FATHOM_ASSIGN(const StepKind kind, reader.read());
    if (kind == StepKind::kEnd) return {};
    if (kind == StepKind::kReadBlocks || kind == StepKind::kWriteBlocks) {
      FATHOM_TRY(follow_blocks(own, world, step, kind, reader.blocks()));
      continue;
    }
    own.begin_call(step, reader.microbatches());
    if (kind == StepKind::kBalance) {
      FATHOM_TRY(own.balance());
      continue;
    }
    if (kind == StepKind::kForward) {
      FATHOM_TRY(own.begin_step(reader.part().batch));
    } else if (kind == StepKind::kDraws) {
      FATHOM_TRY(follow_draws(own, world, step, reader.has_draws(), read));
    } else if (own.shard().is_last()) {
      FATHOM_ASSIGN(const auto logits, own.draft(reader.part().batch, reader.part().sources));
      if (logits.empty()) continue;
      FATHOM_TRY(world.send({step, kLogitsTag, {}}, 0, logits.data(), logits.size_bytes()));
    }
  }
}

}  // namespace fathom::models::deepseek_v3
