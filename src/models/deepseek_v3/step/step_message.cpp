#include "models/deepseek_v3/step/step_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace fathom::models::deepseek_v3 {
namespace {

struct MessageHead {
  StepKind kind = StepKind::kEnd;
  int64_t bytes = 0;  // of the message
  int64_t microbatches = 1;
};

struct PartHead {
  int64_t rows = 0;
  int64_t given = 0;
  int64_t generated = 0;
  int64_t table_entries = 0;
  int64_t logit_rows = 0;
  int64_t sources = 0;
};

struct MessageSequence {
  int64_t query_begin = 0;
  int64_t query_count = 0;
  int64_t context = 0;
  int64_t table_size = 0;
};

struct BlocksHead {
  int64_t data_index = 0;
  int64_t count = 0;
};

bool has_blocks(StepKind kind) {
  return kind == StepKind::kReadBlocks || kind == StepKind::kWriteBlocks;
}

bool has_rows(StepKind kind) {
  return kind == StepKind::kForward || kind == StepKind::kDraft;
}

size_t padded(size_t bytes) {
  return (bytes + 7) / 8 * 8;
}

size_t bytes_of(int64_t count, size_t each) {
  return static_cast<size_t>(count) * each;
}

size_t part_bytes(const PartHead& head) {
  return padded(sizeof(PartHead) + bytes_of(head.rows, sizeof(int64_t) + 2 * sizeof(int32_t)) +
                bytes_of(head.given + head.generated, sizeof(MessageSequence)) +
                bytes_of(head.table_entries + head.logit_rows + head.sources, sizeof(int32_t)));
}

// The largest part that is within the limits.
PartHead largest_part(const RunLimits& limits) {
  const int64_t blocks = limits.max_context / limits.kv_block_size + 1;
  return {.rows = limits.max_step_tokens,
          .given = limits.max_step_sequences,
          .generated = limits.max_step_sequences,
          .table_entries = 2 * limits.max_step_sequences * blocks,
          .logit_rows = limits.max_logit_rows,
          .sources = limits.max_step_tokens};
}

PartHead head_of(const StepPart& part) {
  const auto count = [](const auto& span) { return static_cast<int64_t>(span.size()); };
  PartHead head = {.rows = count(part.batch.tokens),
                   .given = count(part.batch.given),
                   .generated = count(part.batch.generated),
                   .logit_rows = count(part.batch.logit_rows),
                   .sources = count(part.sources)};
  for (const auto& each : part.batch.given) head.table_entries += count(each.block_table);
  for (const auto& each : part.batch.generated) head.table_entries += count(each.block_table);
  return head;
}

void append(std::vector<std::byte>& message, const void* data, size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(data);
  message.insert(message.end(), begin, begin + bytes);
}

template <typename T>
void append(std::vector<std::byte>& message, std::span<const T> values) {
  append(message, values.data(), values.size_bytes());
}

void append_part(std::vector<std::byte>& message, const StepPart& part) {
  const PartHead head = head_of(part);
  const size_t end = message.size() + part_bytes(head);
  append(message, &head, sizeof(head));
  append(message, part.batch.slots);
  for (const auto list : {part.batch.given, part.batch.generated}) {
    for (const SequenceRows& each : list) {
      const MessageSequence planned = {each.query_begin, each.query_count, each.context,
                                       static_cast<int64_t>(each.block_table.size())};
      append(message, &planned, sizeof(planned));
    }
  }
  for (const auto list : {part.batch.given, part.batch.generated}) {
    for (const SequenceRows& each : list) append(message, each.block_table);
  }
  append(message, part.batch.tokens);
  append(message, part.batch.positions);
  append(message, part.batch.logit_rows);
  append(message, part.sources);
  message.resize(end);
}

Error corrupt(const char* what) {
  return {ErrorCode::kDataCorrupt, fmt::format("plan: expected {}, got another message", what)};
}

// Takes `count` values off the front.
template <typename T>
std::span<const T> take(std::span<const std::byte>& bytes, int64_t count) {
  const auto* values = reinterpret_cast<const T*>(bytes.data());
  bytes = bytes.subspan(bytes_of(count, sizeof(T)));
  return {values, static_cast<size_t>(count)};
}

bool is_within(const PartHead& head, const PartHead& most) {
  const auto fits = [](int64_t value, int64_t limit) { return value >= 0 && value <= limit; };
  return fits(head.rows, most.rows) && fits(head.given, most.given) &&
         fits(head.generated, most.generated) && fits(head.table_entries, most.table_entries) &&
         fits(head.logit_rows, most.logit_rows) && fits(head.sources, most.sources);
}

// Whether the row numbers of a part are numbers of rows.
bool rows_exist(const StepPart& part) {
  const auto rows = static_cast<int64_t>(part.batch.tokens.size());
  const auto exists = [&](const SequenceRows& each) {
    return each.query_begin >= 0 && each.query_count >= 0 && each.query_begin <= rows &&
           each.query_count <= rows - each.query_begin;
  };
  const auto is_row = [&](int32_t row) { return row >= 0 && row < rows; };
  return std::ranges::all_of(part.batch.given, exists) &&
         std::ranges::all_of(part.batch.generated, exists) &&
         std::ranges::all_of(part.batch.logit_rows, is_row);
}

}  // namespace

StepParts::StepParts(const RunLimits& limits)
    : begins_(static_cast<size_t>(limits.data_indices) + 1), begins_before_(begins_.size()) {
  rows_.reserve(static_cast<size_t>(limits.data_indices));
  while (rows_.size() < rows_.capacity()) rows_.emplace_back(limits);
  sources_.reserve(static_cast<size_t>(limits.max_step_tokens * limits.data_indices));
}

void StepParts::split(const StepBatch& batch, std::span<const int32_t> sources) {
  begins_before_.swap(begins_);
  begins_.back() = static_cast<int64_t>(batch.tokens.size());
  if (!batch.data_rows.empty()) {
    std::partial_sum(batch.data_rows.begin(), batch.data_rows.end(), begins_.begin() + 1);
  }
  sources_.assign(sources.begin(), sources.end());
  for (size_t data = 0; data < rows_.size(); ++data) {
    rows_[data].cut(batch, begins_[data], begins_[data + 1]);
    if (sources.empty()) continue;
    for (int64_t row = begins_[data]; row < begins_[data + 1]; ++row) {
      sources_[static_cast<size_t>(row)] -= static_cast<int32_t>(begins_before_[data]);
    }
  }
}

StepPart StepParts::operator[](size_t data) const {
  StepPart part = {.batch = rows_[data].batch(), .sources = {}};
  if (sources_.empty()) return part;
  part.sources =
      std::span(sources_).subspan(static_cast<size_t>(begins_[data]), part.batch.tokens.size());
  return part;
}

int64_t StepParts::most_rows() const {
  int64_t most = 0;
  for (size_t data = 0; data < rows_.size(); ++data) {
    most = std::max(most, begins_[data + 1] - begins_[data]);
  }
  return most;
}

size_t max_message_bytes(const RunLimits& limits) {
  const auto indices = static_cast<size_t>(limits.data_indices);
  return std::max(
      kMessageStart,
      sizeof(MessageHead) + indices * (sizeof(int64_t) + part_bytes(largest_part(limits))));
}

std::span<std::byte> StepMessageWriter::write(StepKind kind, int64_t microbatches,
                                              const StepParts& parts) {
  message_.assign(sizeof(MessageHead), std::byte());
  if (has_rows(kind)) {
    for (size_t data = 0; data < parts.size(); ++data) {
      const auto size = static_cast<int64_t>(part_bytes(head_of(parts[data])));
      append(message_, &size, sizeof(size));
    }
    for (size_t data = 0; data < parts.size(); ++data) append_part(message_, parts[data]);
  }
  return finish(kind, microbatches);
}

std::span<std::byte> StepMessageWriter::write(StepKind kind, const BlockList& list) {
  const BlocksHead head = {list.data_index, static_cast<int64_t>(list.blocks.size())};
  message_.assign(sizeof(MessageHead), std::byte());
  append(message_, &head, sizeof(head));
  append(message_, list.blocks);
  return finish(kind, 1);
}

std::span<std::byte> StepMessageWriter::write_draws(std::span<const int64_t> has_draws) {
  message_.assign(sizeof(MessageHead), std::byte());
  append(message_, has_draws);
  return finish(StepKind::kDraws, 1);
}

std::span<std::byte> StepMessageWriter::finish(StepKind kind, int64_t microbatches) {
  message_.resize(std::max(message_.size(), kMessageStart));
  const MessageHead head = {
      .kind = kind, .bytes = static_cast<int64_t>(message_.size()), .microbatches = microbatches};
  std::memcpy(message_.data(), &head, sizeof(head));
  return message_;
}

StepMessageReader::StepMessageReader(const RunLimits& limits, int64_t data)
    : limits_(limits), data_(data), message_(max_message_bytes(limits)) {
  sequences_.reserve(static_cast<size_t>(2 * limits.max_step_sequences));
}

Result<size_t> StepMessageReader::size() const {
  MessageHead head;
  std::memcpy(&head, message_.data(), sizeof(head));
  const auto most = static_cast<int64_t>(message_.size());
  if (head.bytes < static_cast<int64_t>(kMessageStart) || head.bytes > most) {
    return corrupt("a size within the limits");
  }
  return static_cast<size_t>(head.bytes);
}

Result<StepKind> StepMessageReader::read() {
  FATHOM_ASSIGN(const size_t size, this->size());
  MessageHead head;
  std::memcpy(&head, message_.data(), sizeof(head));
  if (head.kind < StepKind::kForward || head.kind > StepKind::kEnd) {
    return corrupt("a known kind of call");
  }
  if (has_blocks(head.kind)) {
    FATHOM_TRY(read_blocks(std::span<const std::byte>(message_).subspan(sizeof(head))));
  }
  if (head.kind == StepKind::kDraws) {
    FATHOM_TRY(read_draws(std::span<const std::byte>(message_).first(size).subspan(sizeof(head))));
  }
  if (!has_rows(head.kind)) return head.kind;
  if (head.microbatches < 1 || head.microbatches > limits_.max_step_tokens) {
    return corrupt("as many microbatches as there are rows at most");
  }
  microbatches_ = head.microbatches;
  std::span<const std::byte> rest(message_.data(), size);
  rest = rest.subspan(sizeof(head));
  const auto sizes = bytes_of(limits_.data_indices, sizeof(int64_t));
  if (sizes > rest.size()) return corrupt("a size of each part");
  const auto parts = take<int64_t>(rest, limits_.data_indices);
  for (int64_t data = 0; data <= data_; ++data) {
    const int64_t bytes = parts[static_cast<size_t>(data)];
    if (bytes < 0 || bytes > static_cast<int64_t>(rest.size())) return corrupt("parts within it");
    const auto part = rest.first(static_cast<size_t>(bytes));
    if (data == data_) FATHOM_TRY(read_part(part, head.kind));
    rest = rest.subspan(part.size());
  }
  return head.kind;
}

Status StepMessageReader::read_blocks(std::span<const std::byte> bytes) {
  const BlocksHead head = take<BlocksHead>(bytes, 1)[0];
  if (head.data_index < 0 || head.data_index >= limits_.data_indices || head.count < 0 ||
      head.count > kMaxKvBlocksACall) {
    return corrupt("KV blocks within the limits");
  }
  blocks_ = {head.data_index, take<int32_t>(bytes, head.count)};
  const auto exists = [&](int32_t block) { return block >= 0 && block < limits_.num_kv_blocks; };
  return std::ranges::all_of(blocks_.blocks, exists) ? Status() : corrupt("numbers of KV blocks");
}

Status StepMessageReader::read_draws(std::span<const std::byte> bytes) {
  if (bytes.size() < bytes_of(limits_.data_indices, sizeof(int64_t))) {
    return corrupt("draws of each data index");
  }
  has_draws_ = take<int64_t>(bytes, limits_.data_indices)[static_cast<size_t>(data_)] != 0;
  return {};
}

Status StepMessageReader::read_part(std::span<const std::byte> bytes, StepKind kind) {
  if (bytes.size() < sizeof(PartHead)) return corrupt("the sizes of a part");
  const PartHead head = take<PartHead>(bytes, 1)[0];
  const int64_t sources = kind == StepKind::kDraft ? head.rows : 0;
  if (!is_within(head, largest_part(limits_)) || head.sources != sources ||
      part_bytes(head) != bytes.size() + sizeof(PartHead)) {
    return corrupt("a part within the limits");
  }
  StepBatch& batch = part_.batch;
  batch.slots = take<int64_t>(bytes, head.rows);
  const auto planned = take<MessageSequence>(bytes, head.given + head.generated);
  auto tables = take<int32_t>(bytes, head.table_entries);
  sequences_.clear();
  for (const MessageSequence& each : planned) {
    if (each.table_size < 0 || each.table_size > static_cast<int64_t>(tables.size())) {
      return corrupt("block tables within the part");
    }
    const auto size = static_cast<size_t>(each.table_size);
    sequences_.push_back({each.query_begin, each.query_count, each.context, tables.first(size)});
    tables = tables.subspan(size);
  }
  const std::span<const SequenceRows> sequences(sequences_);
  batch.given = sequences.first(static_cast<size_t>(head.given));
  batch.generated = sequences.subspan(static_cast<size_t>(head.given));
  batch.tokens = take<int32_t>(bytes, head.rows);
  batch.positions = take<int32_t>(bytes, head.rows);
  batch.logit_rows = take<int32_t>(bytes, head.logit_rows);
  part_.sources = take<int32_t>(bytes, head.sources);
  return rows_exist(part_) ? Status() : corrupt("numbers of rows");
}

}  // namespace fathom::models::deepseek_v3
