#include "serving/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace fathom::serving {

namespace {
constexpr int kWidth = 30;
}

ProgressBar::ProgressBar(std::string label, bool wanted)
    : label_(std::move(label)), draws_(wanted && isatty(STDERR_FILENO) != 0) {}

void ProgressBar::update(size_t done_bytes, size_t total_bytes) {
  if (!draws_ || total_bytes == 0) return;
  const double share =
      std::min(1.0, static_cast<double>(done_bytes) / static_cast<double>(total_bytes));
  const int percent = static_cast<int>(share * 100);
  if (percent == last_percent_) return;
  last_percent_ = percent;
  const int filled = static_cast<int>(share * kWidth);
  fmt::print(stderr, "\r{} [{}{}] {:3}% of {:.1f} GB ", label_, std::string(filled, '#'),
             std::string(kWidth - filled, '.'), percent, static_cast<double>(total_bytes) / 1e9);
  std::fflush(stderr);
}

void ProgressBar::finish() {
  if (draws_ && last_percent_ >= 0) fmt::print(stderr, "\r\x1b[K");
}

}  // namespace fathom::serving
