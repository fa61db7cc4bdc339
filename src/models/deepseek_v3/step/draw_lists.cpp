#include "models/deepseek_v3/step/draw_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sampling/adjust.h"
#include "sampling/contract_draw.h"
#include "sampling/noise.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr size_t kStep = 8;        // bytes that entries stand at multiples of
constexpr size_t kHeadBytes = 16;  // the number of draws, and room up to the draws

size_t in_steps(size_t bytes) {
  return (bytes + kStep - 1) / kStep * kStep;
}

size_t mask_words(int64_t vocab_size) {
  return static_cast<size_t>(vocab_size + 31) / 32;
}

size_t draws_end(size_t draws) {
  return kHeadBytes + draws * sizeof(fathom_draw);
}

Error bad_draws(const char* expected) {
  return {
      ErrorCode::kDataCorrupt,
      fmt::format("draws of a replica: expected {}, got others: are all ranks the same version?",
                  expected)};
}

int32_t listed_token(int32_t entry) {
  return entry;
}
template <typename Entry>
int32_t listed_token(const Entry& entry) {
  return entry.token;
}

// Whether a list lies within the lists' bytes, and its tokens within the vocabulary.
struct DrawListCheck {
  int64_t bytes;
  int64_t vocab_size;

  template <typename Entry>
  bool tokens(const Entry* all, int32_t begin, int32_t count) const {
    if (count == 0) return true;
    if (begin < 0 || count < 0) return false;
    const int64_t end = int64_t{begin} + count;
    if (end * static_cast<int64_t>(sizeof(Entry)) > bytes) return false;
    return std::all_of(all + begin, all + end, [this](const Entry& entry) {
      return listed_token(entry) >= 0 && listed_token(entry) < vocab_size;
    });
  }
};

}  // namespace

ops::Sample sample_at(const std::byte* memory, const LaidOutDraws& draws) {
  const auto count = static_cast<size_t>(draws.count);
  const auto at = [memory]<typename T>(size_t offset, const T*& to) {
    to = reinterpret_cast<const T*>(memory + offset);
  };
  ops::Sample sample;
  sample.max_draws = draws.count;
  at(0, sample.num_draws);
  at(kHeadBytes, sample.draws);
  at(draws_end(count), sample.seen);
  at(draws_end(count), sample.biases);
  at(draws_end(count), sample.banned);
  at(static_cast<size_t>(draws.masks_begin), sample.masks);
  return sample;
}

Status check_draws(std::span<const std::byte> memory, const LaidOutDraws& draws, int64_t logit_rows,
                   int64_t vocab_size) {
  const auto lists = static_cast<int64_t>(draws_end(static_cast<size_t>(draws.count)));
  if (lists > draws.masks_begin || draws.masks_begin % static_cast<int64_t>(kStep) != 0 ||
      draws.bytes < draws.masks_begin || draws.bytes > static_cast<int64_t>(memory.size())) {
    return bad_draws("their sizes");
  }
  const ops::Sample sample = sample_at(memory.data(), draws);
  if (*sample.num_draws != draws.count) return bad_draws("as many as were told");
  const auto mask_bytes = static_cast<int64_t>(mask_words(vocab_size) * sizeof(uint32_t));
  const int64_t masks = (draws.bytes - draws.masks_begin) / mask_bytes;
  const DrawListCheck check = {draws.masks_begin - lists, vocab_size};
  for (const fathom_draw& draw : std::span(sample.draws, static_cast<size_t>(draws.count))) {
    const bool good = draw.logit_row >= 0 && draw.logit_row < logit_rows && draw.mask >= -1 &&
                      draw.mask < masks &&
                      check.tokens(sample.seen, draw.seen_begin, draw.seen_count) &&
                      check.tokens(sample.biases, draw.bias_begin, draw.bias_count) &&
                      check.tokens(sample.banned, draw.banned_begin, draw.banned_count);
    if (!good) return bad_draws("rows, lists and masks that are there");
  }
  return {};
}

size_t DrawLayout::max_bytes(int64_t max_draws, int64_t vocab_size) {
  const auto draws = static_cast<size_t>(max_draws);
  return draws_end(draws) + draws * (kListBytes + mask_words(vocab_size) * sizeof(uint32_t));
}

DrawLayout::DrawLayout(int64_t max_draws, int64_t vocab_size)
    : max_draws_(max_draws), vocab_size_(vocab_size), counts_(static_cast<size_t>(vocab_size)) {}

std::optional<LaidOutDraws> DrawLayout::lay_out(const StepDraws& draws, std::byte* to) {
  const size_t count = draws.draws.size();
  FATHOM_CHECK(count <= static_cast<size_t>(max_draws_), "draws: more than planned for");
  memory_ = to;
  *host<int32_t>(0) = static_cast<int32_t>(count);
  lists_ = used_ = draws_end(count);
  for (size_t i = 0; i < count; ++i) {
    if (!add(i, draws.draws[i], draws.rows[i])) return std::nullopt;
  }
  const auto masks = static_cast<int64_t>(used_);
  return LaidOutDraws{.count = static_cast<int64_t>(count),
                      .masks_begin = masks,
                      .bytes = static_cast<int64_t>(write_masks(draws))};
}

// nullptr where there is no room. Masks of all draws stand behind the lists.
template <typename Entry>
Entry* DrawLayout::take(size_t count, int32_t& begin) {
  const size_t masks =
      static_cast<size_t>(*host<int32_t>(0)) * mask_words(vocab_size_) * sizeof(uint32_t);
  const size_t room = max_bytes(max_draws_, vocab_size_) - masks;
  const size_t bytes = in_steps(count * sizeof(Entry));
  if (bytes > room - used_) return nullptr;
  begin = static_cast<int32_t>((used_ - lists_) / sizeof(Entry));
  auto* entries = host<Entry>(used_);
  used_ += bytes;
  return entries;
}

bool DrawLayout::add(size_t index, const sampling::Draw& draw, int32_t row) {
  const sampling::Terms terms = sampling::terms_of(draw.params);
  fathom_draw& to = host<fathom_draw>(kHeadBytes)[index];
  to = {};
  sampling::set_terms(terms, to);
  to.noise = sampling::noise_bits(draw.seed, draw.position());
  to.logit_row = row;
  to.mask = -1;
  return add_seen(draw, terms, to) && add_biases(draw, to) && add_banned(draw, to);
}

bool DrawLayout::add_seen(const sampling::Draw& draw, const sampling::Terms& terms,
                          fathom_draw& to) {
  bool fits = true;
  const auto add_one = [&](sampling::TokenId token, int32_t count) {
    int32_t begin = 0;
    auto* entry = fits ? take<fathom_seen_token>(1, begin) : nullptr;
    fits = entry != nullptr;
    if (!fits) return;
    *entry = {token, count};
    if (to.seen_count++ == 0) to.seen_begin = begin;
  };
  sampling::for_penalised(draw, terms, counts_, add_one);
  return fits;
}

// Entries of a token are brought together, in their order. counts_ of a token is first how many it
// has, and from its first one on -1 less the place of its next.
bool DrawLayout::add_biases(const sampling::Draw& draw, fathom_draw& to) {
  const auto& biases = draw.params.logit_bias;
  if (biases.empty()) return true;
  auto* entries = take<fathom_token_bias>(biases.size(), to.bias_begin);
  if (entries == nullptr) return false;
  to.bias_count = static_cast<int32_t>(biases.size());
  const auto count_of = [this](sampling::TokenId token) -> int32_t& {
    return counts_[static_cast<size_t>(token)];
  };
  for (const auto& entry : biases) ++count_of(entry.first);
  int32_t next = 0;
  for (const auto& [token, bias] : biases) {
    int32_t& count = count_of(token);
    if (count > 0) {
      const int32_t begin = next;
      next += count;
      count = -1 - begin;
    }
    entries[-1 - count] = {token, bias};
    --count;
  }
  for (const auto& entry : biases) count_of(entry.first) = 0;
  return true;
}

bool DrawLayout::add_banned(const sampling::Draw& draw, fathom_draw& to) {
  if (draw.banned.empty()) return true;
  auto* entries = take<int32_t>(draw.banned.size(), to.banned_begin);
  if (entries == nullptr) return false;
  to.banned_count = static_cast<int32_t>(draw.banned.size());
  std::ranges::copy(draw.banned, entries);
  return true;
}

// Gives where they end.
size_t DrawLayout::write_masks(const StepDraws& draws) {
  const size_t words = mask_words(vocab_size_);
  auto* to = host<uint32_t>(used_);
  int32_t masks = 0;
  for (size_t i = 0; i < draws.draws.size(); ++i) {
    const auto& mask = draws.draws[i].mask;
    if (mask.empty()) continue;
    FATHOM_CHECK(mask.size() == words, "draws: expected a bit a token in a mask");
    host<fathom_draw>(kHeadBytes)[i].mask = masks++;
    to = std::ranges::copy(mask, to).out;
  }
  return used_ + static_cast<size_t>(masks) * words * sizeof(uint32_t);
}

Result<DrawLists> DrawLists::make(device::Device& device, void* memory, int64_t max_draws,
                                  int64_t vocab_size) {
  DrawLists lists;
  lists.memory_ = static_cast<std::byte*>(memory);
  lists.layout_ = DrawLayout(max_draws, vocab_size);
  FATHOM_ASSIGN(lists.staging_,
                Staging::make(device, DrawLayout::max_bytes(max_draws, vocab_size)));
  return lists;
}

Result<std::optional<ops::Sample>> DrawLists::upload(const StepDraws& draws) {
  const auto laid_out = layout_.lay_out(draws, host());
  if (!laid_out) return std::optional<ops::Sample>();
  FATHOM_ASSIGN(const ops::Sample sample, upload(*laid_out));
  return std::optional(sample);
}

Result<ops::Sample> DrawLists::upload(const LaidOutDraws& draws) {
  FATHOM_TRY(staging_.put(memory_, static_cast<size_t>(draws.bytes)));
  return sample_at(memory_, draws);
}

}  // namespace fathom::models::deepseek_v3
