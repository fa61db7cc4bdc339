#include "device/check_backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <string>
#include <vector>

#include "device/device.h"

namespace fathom::device {
namespace {

struct Function {
  const char* name;
  bool is_there;
};
#define FATHOM_FUNCTION(member)      \
  Function {                         \
#member, table.member != nullptr \
  }

std::vector<std::string> missing(std::initializer_list<Function> functions) {
  std::vector<std::string> names;
  for (const auto& [name, is_there] : functions) {
    if (!is_there) names.emplace_back(name);
  }
  return names;
}

std::vector<std::string> missing_functions(const fathom_backend& table) {
  return missing({
      FATHOM_FUNCTION(last_error),     FATHOM_FUNCTION(device_count),
      FATHOM_FUNCTION(device_open),    FATHOM_FUNCTION(device_close),
      FATHOM_FUNCTION(device_info),    FATHOM_FUNCTION(alloc),
      FATHOM_FUNCTION(free),           FATHOM_FUNCTION(host_alloc),
      FATHOM_FUNCTION(host_free),      FATHOM_FUNCTION(stream_create),
      FATHOM_FUNCTION(stream_destroy), FATHOM_FUNCTION(stream_synchronize),
      FATHOM_FUNCTION(copy_to_device), FATHOM_FUNCTION(copy_to_host),
      FATHOM_FUNCTION(copy_on_device), FATHOM_FUNCTION(event_create),
      FATHOM_FUNCTION(event_destroy),  FATHOM_FUNCTION(event_record),
      FATHOM_FUNCTION(event_wait),     FATHOM_FUNCTION(event_elapsed_ms),
      FATHOM_FUNCTION(event_query),    FATHOM_FUNCTION(event_synchronize),
      FATHOM_FUNCTION(fill),           FATHOM_FUNCTION(checksum),
      FATHOM_FUNCTION(supports),       FATHOM_FUNCTION(workspace_bytes),
  });
}

std::vector<std::string> missing_kernels(const fathom_backend& table) {
  std::vector<std::string> names;
  for (int op = 0; op < FATHOM_OP_SAMPLE; ++op) {
    if (table.kernels[op] != nullptr) continue;
    names.push_back(fmt::format("the kernel of {}", op_name(static_cast<fathom_op>(op))));
  }
  return names;
}

// What a group has not, though it has another part.
void add_missing_parts(std::vector<std::string>& names, std::initializer_list<Function> group) {
  const auto lacks = missing(group);
  if (lacks.size() < group.size()) names.insert(names.end(), lacks.begin(), lacks.end());
}

std::vector<std::string> missing_parts(const fathom_backend& table) {
  std::vector<std::string> names;
  add_missing_parts(names, {FATHOM_FUNCTION(graph_begin), FATHOM_FUNCTION(graph_end),
                            FATHOM_FUNCTION(graph_launch), FATHOM_FUNCTION(graph_destroy)});
  add_missing_parts(names, {FATHOM_FUNCTION(pack_bytes), FATHOM_FUNCTION(pack)});
  add_missing_parts(names, {FATHOM_FUNCTION(self_test_name), FATHOM_FUNCTION(self_test)});
  add_missing_parts(
      names, {FATHOM_FUNCTION(comm_id), FATHOM_FUNCTION(comm_create), FATHOM_FUNCTION(comm_destroy),
              FATHOM_FUNCTION(comm_abort), FATHOM_FUNCTION(comm_all_reduce),
              FATHOM_FUNCTION(comm_reduce_scatter), FATHOM_FUNCTION(comm_all_gather),
              FATHOM_FUNCTION(comm_all_to_all), FATHOM_FUNCTION(comm_broadcast),
              FATHOM_FUNCTION(comm_send), FATHOM_FUNCTION(comm_receive)});
  return names;
}
#undef FATHOM_FUNCTION

Error wrong(const fathom_backend& table, const std::string& what) {
  return {ErrorCode::kUnsupported, fmt::format("chip {}: {}", table.name, what)};
}

bool is_activation(int32_t dtype) {
  return dtype == FATHOM_F32 || dtype == FATHOM_BF16;
}

}  // namespace

Status check_table(const fathom_backend& table) {
  auto lacks = missing_functions(table);
  for (const auto& more : {missing_kernels(table), missing_parts(table)}) {
    lacks.insert(lacks.end(), more.begin(), more.end());
  }
  if (lacks.empty()) return {};
  return wrong(table, fmt::format("expected all that contract version {} requires, it lacks {}",
                                  FATHOM_ABI_VERSION, fmt::join(lacks, ", ")));
}

Status check_info(const fathom_backend& table, const fathom_device_info& info) {
  if (!std::has_single_bit(info.alignment)) {
    return wrong(table, fmt::format("device_info: expected alignment to be a power of two, got {}",
                                    info.alignment));
  }
  if (!is_activation(info.activation_dtype) || !is_activation(info.kv_dtype)) {
    return wrong(table,
                 fmt::format("device_info: expected activation_dtype and kv_dtype to be F32 ({}) "
                             "or BF16 ({}), got {} and {}",
                             static_cast<int>(FATHOM_F32), static_cast<int>(FATHOM_BF16),
                             info.activation_dtype, info.kv_dtype));
  }
  if (info.kv_planes < 0 || info.kv_planes > 2) {
    return wrong(
        table, fmt::format("device_info: expected kv_planes to be 1 or 2, got {}", info.kv_planes));
  }
  for (const int32_t size : info.kv_block_sizes) {
    if (size == 0 || (size >= kLeastKvBlock && size <= kMostKvBlock)) continue;
    return wrong(table, fmt::format("device_info: expected kv_block_sizes from {} to {}, got {}",
                                    kLeastKvBlock, kMostKvBlock, size));
  }
  if ((info.capabilities & FATHOM_CAP_GRAPHS) != 0 && table.graph_begin == nullptr) {
    return wrong(table, "device_info: says FATHOM_CAP_GRAPHS, but its table has no graph_begin");
  }
  if ((info.capabilities & FATHOM_CAP_COLLECTIVES) != 0 && table.comm_create == nullptr) {
    return wrong(table,
                 "device_info: says FATHOM_CAP_COLLECTIVES, but its table has no comm_create");
  }
  return {};
}

}  // namespace fathom::device
