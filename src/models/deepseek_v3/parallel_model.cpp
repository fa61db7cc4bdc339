#include "models/deepseek_v3/parallel_model.h"

#include <algorithm>
#include <chrono>
#include <functional>
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

Result<std::span<const float>> run(Model& model, StepKind kind, const StepPart& part) {
  if (kind == StepKind::kForward) return model.forward(part.batch);
  if (!model.shard().is_last()) return std::span<const float>();
  return model.draft(part.batch, part.sources);
}

}  // namespace

ParallelModel::ParallelModel(std::unique_ptr<Model> own, comm::Group& world, int64_t balance_steps)
    : own_(std::move(own)),
      world_(world),
      limits_(limits_of(*own_)),
      parts_(limits_),
      writer_(limits_),
      balance_steps_(own_->config().n_routed_experts > 0 ? balance_steps : 0),
      sampler_(own_->vocab_size()) {
  const auto rows = static_cast<size_t>(limits_.max_logit_rows);
  const auto vocab = static_cast<size_t>(vocab_size());
  const size_t all_rows = rows * static_cast<size_t>(limits_.data_indices);
  logits_.resize(all_rows * vocab);
  tokens_.reserve(all_rows);
  if (own_->shard().layout.tp > 1) received_.resize(rows * vocab);
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
  FATHOM_TRY(call(StepKind::kForward, batch, {}));
  return {};
}

// Rows that are read move to the front, for nobody needs those before them any more.
Status ParallelModel::begin_draws(const StepDraws& draws) {
  tokens_.clear();
  for (size_t i = 0; i < draws.draws.size(); ++i) {
    const auto token = sampling::sample(logit_row(draws.rows[i]), draws.draws[i], sampler_);
    tokens_.push_back(token.value_or(-1));
  }
  read_rows_ = 0;
  for (const int32_t row : draws.read) {
    const auto to = static_cast<int32_t>(read_rows_++);
    if (to != row) std::ranges::copy(logit_row(row), logit_row(to).begin());
  }
  return {};
}

Result<StepResult> ParallelModel::finish_step() {
  const size_t values = read_rows_ * static_cast<size_t>(vocab_size());
  return StepResult{.tokens = tokens_, .logits = std::span<const float>(logits_).first(values)};
}

std::span<float> ParallelModel::logit_row(int32_t row) {
  const auto vocab = static_cast<size_t>(vocab_size());
  return std::span(logits_).subspan(static_cast<size_t>(row) * vocab, vocab);
}

Result<std::span<const float>> ParallelModel::draft(const StepBatch& batch,
                                                    std::span<const int32_t> rows) {
  return call(StepKind::kDraft, batch, rows);
}

Result<std::span<const float>> ParallelModel::call(StepKind kind, const StepBatch& batch,
                                                   std::span<const int32_t> rows) {
  if (failure_) return *failure_;
  parts_.split(batch, rows);
  const int64_t count = kind == StepKind::kForward ? microbatches() : 1;
  if (const auto told = announce(kind, count); !told) return fail(told.error());
  const auto own = run(*own_, kind, parts_[0]);
  if (!own) return fail(own.error());
  if (const auto gathered = gather(*own); !gathered) return fail(gathered.error());
  return std::span<const float>(logits_).first(batch.logit_rows.size() *
                                               static_cast<size_t>(vocab_size()));
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
  FATHOM_ASSIGN(Model::Balance balance, own_->balance());
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

// Every rank of the last stage has the logits of its data index for a part of the vocabulary.
Status ParallelModel::gather(std::span<const float> own) {
  const ParallelLayout& layout = own_->shard().layout;
  const int64_t first = (layout.pp - 1) * layout.stage_ranks();
  size_t row = 0;
  for (int64_t data = 0; data < layout.dp; ++data) {
    const size_t rows = parts_[static_cast<size_t>(data)].batch.logit_rows.size();
    for (int64_t tensor = 0; tensor < layout.tp && rows > 0; ++tensor) {
      const auto rank = static_cast<int>(first + data * layout.tp + tensor);
      if (rank == 0) {
        place_logits(own, own_->shard().tokens, row);
      } else {
        FATHOM_TRY(receive_logits(rank, row, rows));
      }
    }
    row += rows;
  }
  return {};
}

Status ParallelModel::receive_logits(int rank, size_t first_row, size_t rows) {
  const ParallelLayout& layout = own_->shard().layout;
  const auto vocab = static_cast<size_t>(vocab_size());
  const Range tokens = part_of(vocab_size(), place_of(layout, rank).tensor, layout.tp);
  const size_t count = rows * static_cast<size_t>(tokens.size());
  const bool whole = layout.tp == 1;
  float* to = whole ? logits_.data() + first_row * vocab : received_.data();
  FATHOM_TRY(world_.receive({step_, "logits", {}}, rank, to, count * sizeof(float)));
  if (!whole) place_logits({to, count}, tokens, first_row);
  return {};
}

// Columns `tokens` of rows from first_row on.
void ParallelModel::place_logits(std::span<const float> part, const Range& tokens,
                                 size_t first_row) {
  const auto vocab = static_cast<size_t>(vocab_size());
  const auto columns = static_cast<size_t>(tokens.size());
  float* to = logits_.data() + first_row * vocab + tokens.begin;
  for (; !part.empty(); part = part.subspan(columns), to += vocab) {
    std::ranges::copy(part.first(columns), to);
  }
}

Status follow(Model& own, comm::Group& world) {
  StepMessageReader reader(limits_of(own), own.shard().place.data);
  const std::span<std::byte> memory = reader.memory();
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
    FATHOM_ASSIGN(const auto logits, run(own, kind, reader.part()));
    if (!logits.empty()) {
      FATHOM_TRY(world.send({step, "logits", {}}, 0, logits.data(), logits.size_bytes()));
    }
  }
}

}  // namespace fathom::models::deepseek_v3
