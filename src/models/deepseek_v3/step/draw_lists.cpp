#include "models/deepseek_v3/step/draw_lists.h"

#include <algorithm>

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

}  // namespace

size_t DrawLists::max_bytes(int64_t max_draws, int64_t vocab_size) {
  const auto draws = static_cast<size_t>(max_draws);
  return draws_end(draws) + draws * (kListBytes + mask_words(vocab_size) * sizeof(uint32_t));
}

Result<DrawLists> DrawLists::make(device::Device& device, void* memory, int64_t max_draws,
                                  int64_t vocab_size) {
  DrawLists lists;
  lists.memory_ = static_cast<std::byte*>(memory);
  lists.max_draws_ = max_draws;
  lists.vocab_size_ = vocab_size;
  lists.counts_.resize(static_cast<size_t>(vocab_size));
  FATHOM_ASSIGN(lists.staging_, Staging::make(device, max_bytes(max_draws, vocab_size)));
  return lists;
}

Result<std::optional<ops::Sample>> DrawLists::upload(const StepDraws& draws) {
  const size_t count = draws.draws.size();
  FATHOM_CHECK(count <= static_cast<size_t>(max_draws_), "draws: more than planned for");
  *host<int32_t>(0) = static_cast<int32_t>(count);
  lists_ = used_ = draws_end(count);
  for (size_t i = 0; i < count; ++i) {
    if (!add(i, draws.draws[i], draws.rows[i])) return std::optional<ops::Sample>();
  }
  const size_t masks = used_;
  const size_t end = write_masks(draws);
  FATHOM_TRY(staging_.put(memory_, end));
  const auto on_device = [this]<typename T>(size_t offset, const T*& to) {
    to = reinterpret_cast<const T*>(memory_ + offset);
  };
  ops::Sample sample;
  sample.max_draws = static_cast<int64_t>(count);
  on_device(0, sample.num_draws);
  on_device(kHeadBytes, sample.draws);
  on_device(lists_, sample.seen);
  on_device(lists_, sample.biases);
  on_device(lists_, sample.banned);
  on_device(masks, sample.masks);
  return std::optional(sample);
}

// nullptr where there is no room. Masks of all draws stand behind the lists.
template <typename Entry>
Entry* DrawLists::take(size_t count, int32_t& begin) {
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

bool DrawLists::add(size_t index, const sampling::Draw& draw, int32_t row) {
  const sampling::Terms terms = sampling::terms_of(draw.params);
  fathom_draw& to = host<fathom_draw>(kHeadBytes)[index];
  to = {};
  sampling::set_terms(terms, to);
  to.noise = sampling::noise_bits(draw.seed, draw.position());
  to.logit_row = row;
  to.mask = -1;
  return add_seen(draw, terms, to) && add_biases(draw, to) && add_banned(draw, to);
}

bool DrawLists::add_seen(const sampling::Draw& draw, const sampling::Terms& terms,
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
bool DrawLists::add_biases(const sampling::Draw& draw, fathom_draw& to) {
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

bool DrawLists::add_banned(const sampling::Draw& draw, fathom_draw& to) {
  if (draw.banned.empty()) return true;
  auto* entries = take<int32_t>(draw.banned.size(), to.banned_begin);
  if (entries == nullptr) return false;
  to.banned_count = static_cast<int32_t>(draw.banned.size());
  std::ranges::copy(draw.banned, entries);
  return true;
}

// Gives where they end.
size_t DrawLists::write_masks(const StepDraws& draws) {
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

}  // namespace fathom::models::deepseek_v3
