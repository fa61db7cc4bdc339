#include "comm/testing/group_checks.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

namespace fathom::comm {
namespace {

#define RETURN_IF_WRONG(expression)                                     \
  do {                                                                  \
    if (std::string wrong = (expression); !wrong.empty()) return wrong; \
  } while (false)

std::string text_of(const Status& status) {
  return status ? std::string() : status.error().message;
}

std::string expect(bool right, const char* what) {
  return right ? std::string() : fmt::format("{}: wrong bytes", what);
}

// Byte i of what rank `from` has for rank `to`; the same function on every rank.
uint8_t byte_of(uint64_t seed, int from, int to, size_t i) {
  const uint64_t mixed =
      (seed + static_cast<uint64_t>(from) * 1000003 + static_cast<uint64_t>(to) * 7919 + i) *
      0x9e3779b97f4a7c15;
  return static_cast<uint8_t>(mixed >> 56);
}

std::vector<uint8_t> bytes_of(uint64_t seed, int from, int to, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = byte_of(seed, from, to, i);
  return bytes;
}

void append(std::vector<uint8_t>& all, const std::vector<uint8_t>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

// Small ones, zero, and some above every threshold.
size_t draw_size(std::mt19937_64& random) {
  const uint64_t kind = random() % 4;
  return kind == 0 ? 0 : random() % (kind == 3 ? 100000 : 64);
}

std::string check_gather(Group& group, std::mt19937_64& random, int64_t step) {
  const uint64_t seed = random();
  std::vector<size_t> sizes;
  std::vector<uint8_t> expected;
  for (int rank = 0; rank < group.size(); ++rank) {
    sizes.push_back(draw_size(random));
    append(expected, bytes_of(seed, rank, 0, sizes.back()));
  }
  const auto self = static_cast<size_t>(group.rank());
  const auto own = bytes_of(seed, group.rank(), 0, sizes[self]);
  std::vector<uint8_t> all(expected.size(), 0xee);
  RETURN_IF_WRONG(text_of(group.all_gather({step, "gather", {}}, own.data(), all.data(), sizes)));
  return expect(all == expected, "all_gather");
}

std::string check_all_to_all(Group& group, std::mt19937_64& random, int64_t step) {
  const uint64_t seed = random();
  const auto n = static_cast<size_t>(group.size());
  std::vector<size_t> sizes(n * n);
  for (size_t& size : sizes) size = draw_size(random);
  std::vector<size_t> to;
  std::vector<size_t> from;
  std::vector<uint8_t> data;
  std::vector<uint8_t> expected;
  for (int peer = 0; peer < group.size(); ++peer) {
    const auto at = static_cast<size_t>(peer);
    const auto self = static_cast<size_t>(group.rank());
    to.push_back(sizes[self * n + at]);
    from.push_back(sizes[at * n + self]);
    append(data, bytes_of(seed, group.rank(), peer, to.back()));
    append(expected, bytes_of(seed, peer, group.rank(), from.back()));
  }
  std::vector<uint8_t> out(expected.size(), 0xee);
  RETURN_IF_WRONG(
      text_of(group.all_to_all({step, "dispatch", {}}, data.data(), to, out.data(), from)));
  return expect(out == expected, "all_to_all");
}

std::string check_broadcast(Group& group, std::mt19937_64& random, int64_t step) {
  const uint64_t seed = random();
  const int root = static_cast<int>(random() % static_cast<uint64_t>(group.size()));
  const size_t size = draw_size(random);
  const auto expected = bytes_of(seed, root, 0, size);
  std::vector<uint8_t> data = group.rank() == root ? expected : std::vector<uint8_t>(size, 0xee);
  RETURN_IF_WRONG(text_of(group.broadcast({step, "plan", {}}, root, data.data(), size)));
  return expect(data == expected, "broadcast");
}

// Around a ring: even ranks send first.
std::string check_messages(Group& group, std::mt19937_64& random, int64_t step) {
  const uint64_t seed = random();
  const size_t size = draw_size(random);
  if (group.size() < 2) return "";
  const int next = (group.rank() + 1) % group.size();
  const int previous = (group.rank() + group.size() - 1) % group.size();
  const auto data = bytes_of(seed, group.rank(), next, size);
  std::vector<uint8_t> got(size, 0xee);
  const Tag tag = {step, "stage", {}};
  for (const bool sends : {group.rank() % 2 == 0, group.rank() % 2 != 0}) {
    RETURN_IF_WRONG(text_of(sends ? group.send(tag, next, data.data(), size)
                                  : group.receive(tag, previous, got.data(), size)));
  }
  return expect(got == bytes_of(seed, previous, group.rank(), size), "send and receive");
}

uint16_t to_bf16(float value) {
  // To nearest, ties to even, by comparing with both neighbours in F64.
  const auto low = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  const auto high = static_cast<uint16_t>(low + 1);
  const auto exact = [](uint16_t bits) {
    return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits) << 16));
  };
  const double below = std::abs(static_cast<double>(value) - exact(low));
  const double above = std::abs(exact(high) - static_cast<double>(value));
  if (below == above) return low % 2 == 0 ? low : high;
  return below < above ? low : high;
}

float from_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Term i of a rank: sizes from 2^-20 to 2^20, so that the order of additions shows.
float term(uint64_t seed, int rank, size_t i) {
  const uint64_t key = (seed + i * 7919) * 64 + static_cast<uint64_t>(rank);
  const uint64_t random = (key ^ (key >> 29)) * 0x9e3779b97f4a7c15;
  const float mantissa = static_cast<float>((random >> 40) % 20001) / 10000 - 1;
  return std::ldexp(mantissa, static_cast<int>((random >> 20) % 41) - 20);
}

template <typename T>
struct Sums {
  std::vector<T> own;
  std::vector<T> expected;
};

Sums<float> f32_sums(uint64_t seed, const Group& group, size_t count) {
  Sums<float> sums;
  for (size_t i = 0; i < count; ++i) {
    sums.own.push_back(term(seed, group.rank(), i));
    float sum = term(seed, 0, i);
    for (int rank = 1; rank < group.size(); ++rank) sum += term(seed, rank, i);
    sums.expected.push_back(sum);
  }
  return sums;
}

Sums<uint16_t> bf16_sums(uint64_t seed, const Group& group, size_t count) {
  Sums<uint16_t> sums;
  for (size_t i = 0; i < count; ++i) {
    sums.own.push_back(to_bf16(term(seed, group.rank(), i)));
    float sum = from_bf16(to_bf16(term(seed, 0, i)));
    for (int rank = 1; rank < group.size(); ++rank) {
      sum += from_bf16(to_bf16(term(seed, rank, i)));
    }
    sums.expected.push_back(to_bf16(sum));
  }
  return sums;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <typename T>
std::string check_sum(Group& group, fathom_dtype dtype, Sums<T> sums, int64_t step) {
  std::vector<int64_t> counts(static_cast<size_t>(group.size()));
  const auto count = static_cast<int64_t>(sums.own.size());
  int64_t left = count;
  for (size_t rank = 0; rank < counts.size(); ++rank) {  // uneven, the last takes the rest
    counts[rank] = rank + 1 == counts.size() ? left : left / 3;
    left -= counts[rank];
  }
  const auto self = static_cast<size_t>(group.rank());
  std::vector<T> part(static_cast<size_t>(counts[self]));
  RETURN_IF_WRONG(text_of(
      group.reduce_scatter({step, "partial", {}}, dtype, sums.own.data(), part.data(), counts)));
  const auto begin = sums.expected.begin() +
                     std::accumulate(counts.begin(), counts.begin() + group.rank(), int64_t{0});
  RETURN_IF_WRONG(
      expect(same_bits(part, std::vector<T>(begin, begin + counts[self])), "reduce_scatter"));
  std::vector<T> in_place = sums.own;
  const auto own_part = static_cast<size_t>(begin - sums.expected.begin());
  RETURN_IF_WRONG(text_of(group.reduce_scatter({step, "in_place", {}}, dtype, in_place.data(),
                                               in_place.data() + own_part, counts)));
  std::vector<size_t> bytes;
  for (const int64_t each : counts) bytes.push_back(static_cast<size_t>(each) * sizeof(T));
  RETURN_IF_WRONG(text_of(group.all_gather({step, "in_place", {}}, in_place.data() + own_part,
                                           in_place.data(), bytes)));
  RETURN_IF_WRONG(expect(same_bits(in_place, sums.expected), "reduce_scatter in place, gathered"));
  RETURN_IF_WRONG(
      text_of(group.all_reduce({step, "experts_out", {}}, dtype, sums.own.data(), count)));
  return expect(same_bits(sums.own, sums.expected), "all_reduce");
}

}  // namespace

std::string check_operations(Group& group, uint64_t seed, int rounds, int64_t first_step) {
  std::mt19937_64 random(seed);
  for (int64_t step = first_step; step < first_step + rounds; ++step) {
    RETURN_IF_WRONG(check_gather(group, random, step));
    RETURN_IF_WRONG(check_all_to_all(group, random, step));
    RETURN_IF_WRONG(check_broadcast(group, random, step));
    RETURN_IF_WRONG(check_messages(group, random, step));
    RETURN_IF_WRONG(text_of(group.barrier({step, "end", {}})));
  }
  return "";
}

std::string check_sums(Group& group, uint64_t seed, int64_t step) {
  for (const size_t count : {0, 1, 7, 600, 20011}) {
    RETURN_IF_WRONG(check_sum(group, FATHOM_F32, f32_sums(seed, group, count), step));
    RETURN_IF_WRONG(check_sum(group, FATHOM_BF16, bf16_sums(seed, group, count), step));
  }
  return "";
}

std::string check_split(Group& group, uint64_t seed, int64_t step) {
  const int color = group.rank() % 2;
  auto half = group.split({step, "halves", {}}, color, -group.rank());
  if (!half) return half.error().message;
  const int in_half = (group.size() - color + 1) / 2;
  if ((*half)->size() != in_half) return "split: wrong size";
  if ((*half)->rank() != in_half - 1 - group.rank() / 2) return "split: wrong rank";
  RETURN_IF_WRONG(check_operations(**half, seed, 5, step));
  RETURN_IF_WRONG(check_sums(**half, seed, step));
  return text_of(group.barrier({step, "halves_done", {}}));
}

}  // namespace fathom::comm
