#include "jinja/text.h"

#include <algorithm>

#include "base/check.h"

namespace fathom::jinja {
namespace {

// The bytes of a run: itself, the vector's growth, and the piece it may become.
constexpr std::size_t kRunBytes = 64;

}  // namespace

void MarkedText::append(std::string_view bytes, bool trusted) {
  if (bytes.empty()) return;
  bytes_.append(bytes);
  if (!runs_.empty() && runs_.back().trusted == trusted) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), trusted});
  }
}

void MarkedText::append(const MarkedText& other, std::size_t begin, std::size_t count) {
  FATHOM_CHECK(begin <= other.size() && count <= other.size() - begin, "part of a text");
  if (count == 0) return;
  const std::size_t end = begin + count;
  for (std::size_t run = other.run_at(begin); begin < end; ++run) {
    const std::size_t part_end = std::min(other.runs_[run].end, end);
    append(other.view().substr(begin, part_end - begin), other.runs_[run].trusted);
    begin = part_end;
  }
}

std::size_t MarkedText::run_at(std::size_t position) const {
  const auto run = std::upper_bound(runs_.begin(), runs_.end(), position,
                                    [](std::size_t at, const Run& r) { return at < r.end; });
  FATHOM_CHECK(run != runs_.end(), "position inside a text");
  return static_cast<std::size_t>(run - runs_.begin());
}

void TextBuilder::charge_growth(std::size_t more_bytes, std::size_t more_runs) {
  heap_.work(more_bytes + more_runs * kRunBytes);
  heap_.check_text(text_.size() + more_bytes);
  charge_.add(more_bytes + more_runs * kRunBytes);
}

void TextBuilder::append(std::string_view bytes, bool trusted) {
  if (bytes.empty()) return;
  const bool new_run = text_.empty() || text_.runs().back().trusted != trusted;
  charge_growth(bytes.size(), new_run ? 1 : 0);
  text_.append(bytes, trusted);
}

void TextBuilder::append(const MarkedText& other, std::size_t begin, std::size_t count) {
  if (count == 0) return;
  const std::size_t first_run = other.run_at(begin);
  const std::size_t last_run = other.run_at(begin + count - 1);
  const bool joins =
      !text_.empty() && text_.runs().back().trusted == other.runs()[first_run].trusted;
  charge_growth(count, last_run - first_run + (joins ? 0 : 1));
  text_.append(other, begin, count);
}

}  // namespace fathom::jinja
