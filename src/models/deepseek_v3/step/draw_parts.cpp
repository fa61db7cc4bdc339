#include "models/deepseek_v3/step/draw_parts.h"

#include <algorithm>

namespace fathom::models::deepseek_v3 {

DrawParts::DrawParts(int64_t data_indices, int64_t max_draws)
    : draws_of_(static_cast<size_t>(data_indices)), reads_of_(draws_of_.size()) {
  const auto most = static_cast<size_t>(data_indices * max_draws);
  places_.reserve(most);
  draws_.reserve(most);
  rows_.reserve(most);
  read_.reserve(most);
}

void DrawParts::split(const StepDraws& draws, std::span<const int64_t> first_rows) {
  const auto index_of = [&](int32_t row) {
    return static_cast<size_t>(std::ranges::upper_bound(first_rows, row) - first_rows.begin()) - 1;
  };
  for (std::vector<Range>* ranges : {&draws_of_, &reads_of_}) std::ranges::fill(*ranges, Range());
  // Behind each other in the order of data indices: first how many each has, then where.
  const auto begin_ranges = [&](std::span<const int32_t> rows, std::vector<Range>& ranges) {
    for (const int32_t row : rows) ++ranges[index_of(row)].end;
    size_t next = 0;
    for (Range& range : ranges) {
      const size_t count = range.end;
      range = {next, next};
      next += count;
    }
  };
  begin_ranges(draws.rows, draws_of_);
  places_.resize(draws.rows.size());
  for (size_t i = 0; i < draws.rows.size(); ++i) {
    places_[draws_of_[index_of(draws.rows[i])].end++] = i;
  }
  draws_.clear();
  rows_.clear();
  for (const size_t place : places_) {
    const int32_t row = draws.rows[place];
    draws_.push_back(draws.draws[place]);
    rows_.push_back(row - static_cast<int32_t>(first_rows[index_of(row)]));
  }
  begin_ranges(draws.read, reads_of_);
  read_.clear();
  for (const int32_t row : draws.read) {  // rising, so in order
    const size_t data = index_of(row);
    ++reads_of_[data].end;
    read_.push_back(row - static_cast<int32_t>(first_rows[data]));
  }
}

StepDraws DrawParts::operator[](size_t data) const {
  const Range& draws = draws_of_[data];
  const Range& reads = reads_of_[data];
  return {.draws = std::span(draws_).subspan(draws.begin, draws.end - draws.begin),
          .rows = std::span(rows_).subspan(draws.begin, draws.end - draws.begin),
          .read = std::span(read_).subspan(reads.begin, reads.end - reads.begin)};
}

std::span<const size_t> DrawParts::places(size_t data) const {
  const Range& draws = draws_of_[data];
  return std::span(places_).subspan(draws.begin, draws.end - draws.begin);
}

}  // namespace fathom::models::deepseek_v3
