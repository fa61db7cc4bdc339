#include <nlohmann/json.hpp>

#include "cli/serve/layout_report.h"

namespace fathom::cli {

namespace dsv3 = models::deepseek_v3;

namespace {

// Keys in the order they are added, as a reader of the output wants them.
using Json = nlohmann::ordered_json;

Json first_and_last(const dsv3::Range& range) {
  return Json::array({range.begin, range.end - 1});
}

Json traffic_json(const dsv3::Traffic& sent) {
  return {{"sums", sent.sums},         {"dispatch", sent.dispatch}, {"combine", sent.combine},
          {"pipeline", sent.pipeline}, {"logits", sent.logits},     {"total", sent.total()}};
}

Json layout_json(const LayoutReport& report) {
  const auto& layout = report.plan.layout();
  Json document = {{"model", report.model},
                   {"layout", layout.text()},
                   {"pp", layout.pp},
                   {"dp", layout.dp},
                   {"tp", layout.tp},
                   {"ep", layout.ep},
                   {"redundant", layout.redundant},
                   {"shared", layout.shared},
                   {"ranks", layout.ranks()},
                   {"weights", to_string(report.weights)},
                   {"kv_dtype", device::dtype_name(report.memory.kv_dtype)},
                   {"step_tokens", report.step_tokens}};
  if (report.memory.memory > 0) document["device_memory"] = report.memory.memory;
  return document;
}

dsv3::RowsInStep prompt_rows(const LayoutReport& report) {
  return report.drafts ? dsv3::RowsInStep::kManyForAll : dsv3::RowsInStep::kManyForLast;
}

Json group_json(const LayoutReport& report, const RankGroup& group) {
  const auto& print = group.footprint;
  Json ranks = Json::array();
  for (const auto& range : group.ranks) ranks.push_back(first_and_last(range));
  Json document = {
      {"ranks", std::move(ranks)},
      {"count", group.count},
      {"stage", group.stage},
      {"layers", first_and_last(report.plan.stages()[static_cast<size_t>(group.stage)])},
      {"experts", group.routed},
      {"shared_expert", group.shared},
      {"tensors", print.tensors},
      {"file_bytes", print.file_bytes},
      {"weight_bytes", print.weight_bytes},
      {"workspace_bytes", print.workspace_bytes},
      {"kv_token_bytes", print.kv_token_bytes}};
  if (report.memory.memory > 0) {
    document["kv_tokens"] = print.kv_tokens;
    document["missing_bytes"] = print.missing_bytes;
  }
  document["sent_bytes_a_token"] = traffic_json(group.sent);
  document["sent_bytes_a_prompt_token"] =
      traffic_json(dsv3::sent_by_rank(report.plan, group.ranks.front().begin, prompt_rows(report)));
  return document;
}

std::string dump(const Json& document) {
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string to_json(const LayoutReport& report) {
  Json document = layout_json(report);
  document["least_memory"] = report.least_memory;
  if (report.memory.memory > 0) {
    document["kv_tokens"] = dsv3::kv_tokens_of(report.plan.layout(), report.footprints);
  }
  document["sent_bytes_a_token"] = traffic_json(dsv3::sent_for_token(report.plan));
  document["sent_bytes_a_prompt_token"] =
      traffic_json(dsv3::sent_for_token(report.plan, prompt_rows(report)));
  document["rank_groups"] = Json::array();
  for (const auto& group : group_ranks(report)) {
    document["rank_groups"].push_back(group_json(report, group));
  }
  return dump(document);
}

std::string rank_json(const LayoutReport& report, int64_t rank) {
  const auto place = dsv3::place_of(report.plan.layout(), rank);
  Json document = layout_json(report);
  document["rank"] = rank;
  document["stage"] = place.stage;
  document["data"] = place.data;
  document["tensor"] = place.tensor;
  document["expert"] = place.expert;
  document["slice"] = place.slice;
  document["experts"] = report.plan.experts()[static_cast<size_t>(place.expert)];
  document["tensors"] = Json::array();
  for (const auto& part : report.plan.parts_of(rank)) {
    Json tensor = {{"name", part.tensor->spec.name}, {"rows", first_and_last(part.rows)}};
    if (!part.tensor->spec.is_vector()) tensor["columns"] = first_and_last(part.columns);
    tensor["stored"] = device::dtype_name(static_cast<fathom_dtype>(part.tensor->stored.dtype));
    tensor["file_bytes"] = part.file_bytes;
    tensor["loaded"] = device::dtype_name(static_cast<fathom_dtype>(part.loaded.dtype));
    tensor["loaded_bytes"] = part.loaded_bytes;
    document["tensors"].push_back(std::move(tensor));
  }
  return dump(document);
}

}  // namespace fathom::cli
