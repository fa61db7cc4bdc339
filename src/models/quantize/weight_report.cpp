#include "models/quantize/weight_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

namespace fathom::models {

void WeightReport::add(const std::string& tensor, fathom_dtype from, fathom_dtype to,
                       const WeightError& error) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({tensor, from, to, error});
}

std::vector<WeightReport::Entry> WeightReport::sorted() const {
  const std::lock_guard lock(mutex_);
  auto entries = entries_;
  std::ranges::sort(entries, {}, &Entry::tensor);
  return entries;
}

std::string WeightReport::summary() const {
  const auto entries = sorted();
  if (entries.empty()) return "";
  double sum = 0;
  for (const auto& entry : entries) sum += entry.error.relative();
  const auto& worst = *std::ranges::max_element(
      entries, {}, [](const Entry& entry) { return entry.error.relative(); });
  return fmt::format(
      "{} tensors requantised, relative error {:.2f}% on average, {:.2f}% at worst ({})",
      entries.size(), 100 * sum / static_cast<double>(entries.size()), 100 * worst.error.relative(),
      worst.tensor);
}

Status WeightReport::write(const std::filesystem::path& path) const {
  std::ofstream file(path);
  for (const auto& entry : sorted()) {
    const nlohmann::ordered_json line = {{"tensor", entry.tensor},
                                         {"from", device::dtype_name(entry.from)},
                                         {"to", device::dtype_name(entry.to)},
                                         {"relative_error", entry.error.relative()},
                                         {"largest_error", entry.error.largest}};
    file << line.dump() << '\n';
  }
  file.close();
  if (!file) return Error{ErrorCode::kIo, path.string() + ": cannot be written", path.string()};
  return {};
}

}  // namespace fathom::models
