#include "cli/serve/layout_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace fathom::cli {

namespace dsv3 = models::deepseek_v3;

namespace {

// What a group's ranks have in common; ranks of one stage with the same experts' number.
bool alike(const RankGroup& a, const RankGroup& b) {
  return a.stage == b.stage && a.routed == b.routed && a.shared == b.shared &&
         a.footprint == b.footprint && a.sent == b.sent;
}

RankGroup describe(const LayoutReport& report, int64_t rank) {
  const auto place = dsv3::place_of(report.plan.layout(), rank);
  const auto& experts = report.plan.experts()[static_cast<size_t>(place.expert)];
  RankGroup group;
  group.ranks = {{rank, rank + 1}};
  group.count = 1;
  group.stage = place.stage;
  group.shared = !experts.empty() && experts.back() == dsv3::kSharedExpert;
  group.routed = static_cast<int64_t>(experts.size()) - (group.shared ? 1 : 0);
  group.footprint = report.footprints[static_cast<size_t>(rank)];
  group.sent = dsv3::sent_by_rank(report.plan, rank);
  return group;
}

void add_rank(RankGroup& group, int64_t rank) {
  ++group.count;
  if (group.ranks.back().end == rank) {
    ++group.ranks.back().end;
  } else {
    group.ranks.push_back({rank, rank + 1});
  }
}

// "0-30"; with what the last stage holds behind its layers.
std::string layers_text(const LayoutReport& report, int64_t stage) {
  const auto& layers = report.plan.stages()[static_cast<size_t>(stage)];
  const auto& config = report.plan.config();
  const bool last = stage == report.plan.layout().pp - 1;
  const bool mtp = last && config.num_nextn_predict_layers > 0;
  return range_list({layers}) + (mtp ? " + MTP" : "");
}

std::string experts_text(const LayoutReport& report, const RankGroup& group) {
  if (report.plan.config().n_routed_experts == 0) return "-";
  std::string text;
  if (group.routed > 0 || !group.shared) text = fmt::format("{}", group.routed);
  if (group.shared) text += text.empty() ? "shared" : " + shared";
  const int64_t slices = report.plan.layout().slices();
  return slices > 1 ? fmt::format("1/{} of {}", slices, text) : text;
}

std::string kv_text(const LayoutReport& report, const dsv3::Footprint& print) {
  if (report.memory.memory == 0) return "-";
  return print.missing_bytes > 0 ? bytes_text(print.missing_bytes) + " short"
                                 : grouped(print.kv_tokens);
}

std::string head_line(const LayoutReport& report) {
  const auto& layout = report.plan.layout();
  const std::string memory =
      report.memory.memory > 0 ? " of " + bytes_text(report.memory.memory) : std::string();
  return fmt::format("{}: {} on {} rank{}{}; weights {}, KV in bf16, steps of {} tokens\n\n",
                     report.model, layout.text(), layout.ranks(), layout.ranks() == 1 ? "" : "s",
                     memory, to_string(report.weights), report.step_tokens);
}

std::string totals(const LayoutReport& report) {
  int64_t loaded = 0;
  for (const auto& print : report.footprints) loaded += print.weight_bytes;
  int64_t stored = 0;
  for (const auto& tensor : report.plan.tensors()) {
    stored += static_cast<int64_t>(models::data_bytes(tensor.stored) +
                                   models::scale_bytes(tensor.stored));
  }
  std::string text = fmt::format("\nweights         {} in the checkpoint, {} on all ranks\n",
                                 bytes_text(stored), bytes_text(loaded));
  text += fmt::format("memory          {} a rank at least\n", bytes_text(report.least_memory));
  if (report.memory.memory > 0) {
    const auto& layout = report.plan.layout();
    text += fmt::format("KV              {} tokens in all, over dp={}\n",
                        grouped(dsv3::kv_tokens_of(layout, report.footprints)), layout.dp);
  }
  const dsv3::Traffic sent = dsv3::sent_for_token(report.plan);
  text += fmt::format("sent a token    {} by all ranks", bytes_text(sent.total()));
  const std::pair<const char*, double> kinds[] = {{"sums", sent.sums},
                                                  {"dispatch", sent.dispatch},
                                                  {"combine", sent.combine},
                                                  {"pipeline", sent.pipeline},
                                                  {"logits", sent.logits}};
  const char* before = ": ";
  for (const auto& [kind, bytes] : kinds) {
    if (bytes == 0) continue;
    text += fmt::format("{}{} {}", before, kind, bytes_text(bytes));
    before = ", ";
  }
  return text + "\n";
}

}  // namespace

std::vector<RankGroup> group_ranks(const LayoutReport& report) {
  std::vector<RankGroup> groups;
  for (int64_t rank = 0; rank < report.plan.layout().ranks(); ++rank) {
    RankGroup one = describe(report, rank);
    const auto same =
        std::ranges::find_if(groups, [&](const RankGroup& group) { return alike(group, one); });
    if (same == groups.end()) {
      groups.push_back(std::move(one));
    } else {
      add_rank(*same, rank);
    }
  }
  return groups;
}

std::string bytes_text(double bytes) {
  const char* unit = "KB";
  double value = bytes / 1e3;
  for (const char* larger : {"MB", "GB"}) {
    if (value < 999.95) break;
    value /= 1e3;
    unit = larger;
  }
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : 1, unit);
}

std::string grouped(int64_t number) {
  const std::string digits = fmt::format("{}", number);
  std::string text;
  for (size_t at = 0; at < digits.size(); ++at) {
    if (at > 0 && (digits.size() - at) % 3 == 0) text += ',';
    text += digits[at];
  }
  return text;
}

std::string range_list(const std::vector<dsv3::Range>& ranges) {
  constexpr size_t kShown = 2;
  std::string text;
  for (size_t i = 0; i < std::min(ranges.size(), kShown); ++i) {
    const auto& [begin, end] = ranges[i];
    text += i > 0 ? ", " : "";
    text += end - begin == 1 ? fmt::format("{}", begin) : fmt::format("{}-{}", begin, end - 1);
  }
  return ranges.size() > kShown ? text + ", ..." : text;
}

std::string to_text(const LayoutReport& report) {
  std::string text = head_line(report);
  const char* line = "{:>5}  {:<21} {:>5}  {:<12} {:>9} {:>8} {:>9} {:>9} {:>13} {:>12}\n";
  text += fmt::format(fmt::runtime(line), "ranks", "which", "stage", "layers", "experts", "tensors",
                      "weights", "workspace", "KV tokens", "sent a token");
  for (const RankGroup& group : group_ranks(report)) {
    const auto& print = group.footprint;
    text += fmt::format(fmt::runtime(line), group.count, range_list(group.ranks), group.stage,
                        layers_text(report, group.stage), experts_text(report, group),
                        grouped(print.tensors), bytes_text(print.weight_bytes),
                        bytes_text(print.workspace_bytes), kv_text(report, print),
                        bytes_text(group.sent.total()));
  }
  return text + totals(report);
}

std::string rank_text(const LayoutReport& report, int64_t rank) {
  const auto place = dsv3::place_of(report.plan.layout(), rank);
  std::string text = head_line(report);
  text += fmt::format("rank {}: stage {}, data {}, tensor {}, experts {}, slice {}\n", rank,
                      place.stage, place.data, place.tensor, place.expert, place.slice);
  const char* line = "{:<52} {:>15} {:>15} {:>8} {:>13} {:>8} {:>13}\n";
  text += fmt::format(fmt::runtime(line), "tensor", "rows", "columns", "stored", "bytes", "loaded",
                      "bytes");
  for (const auto& part : report.plan.parts_of(rank)) {
    const auto& tensor = *part.tensor;
    text += fmt::format(fmt::runtime(line), tensor.spec.name, range_list({part.rows}),
                        tensor.spec.is_vector() ? "" : range_list({part.columns}),
                        device::dtype_name(static_cast<fathom_dtype>(tensor.stored.dtype)),
                        grouped(static_cast<int64_t>(part.file_bytes)),
                        device::dtype_name(static_cast<fathom_dtype>(part.loaded.dtype)),
                        grouped(static_cast<int64_t>(part.loaded_bytes)));
  }
  return text;
}

}  // namespace fathom::cli
