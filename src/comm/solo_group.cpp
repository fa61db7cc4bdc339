#include "comm/solo_group.h"

#include <thread>

#include "comm/arguments.h"
#include "device/tensor.h"

namespace fathom::comm {

Result<std::unique_ptr<Group>> SoloGroup::split(const Tag&, int, int) {
  return std::unique_ptr<Group>(std::make_unique<SoloGroup>());
}

Status SoloGroup::all_reduce(const Tag& tag, fathom_dtype dtype, void*, int64_t count) {
  return check_sum(tag, dtype, count);
}

Status SoloGroup::reduce_scatter(const Tag& tag, fathom_dtype dtype, const void* data, void* out,
                                 std::span<const int64_t> counts) {
  FATHOM_TRY(check_counts(tag, counts, 1));
  FATHOM_TRY(check_sum(tag, dtype, counts[0]));
  copy_bytes(data, out, static_cast<size_t>(counts[0]) * device::dtype_size(dtype));
  return {};
}

Status SoloGroup::all_gather(const Tag& tag, const void* data, void* all,
                             std::span<const size_t> bytes) {
  FATHOM_TRY(check_sizes(tag, bytes, 1));
  copy_bytes(data, all, bytes[0]);
  return {};
}

Status SoloGroup::all_to_all(const Tag& tag, const void* data, std::span<const size_t> data_bytes,
                             void* out, std::span<const size_t> out_bytes) {
  FATHOM_TRY(check_sizes(tag, data_bytes, 1));
  FATHOM_TRY(check_sizes(tag, out_bytes, 1));
  FATHOM_TRY(check_equal(tag, "bytes to itself", data_bytes[0], out_bytes[0]));
  copy_bytes(data, out, data_bytes[0]);
  return {};
}

Status SoloGroup::broadcast(const Tag& tag, int root, void*, size_t) {
  return check_rank(tag, "root", root, 1);
}

Status SoloGroup::barrier(const Tag&) {
  return {};
}

Status SoloGroup::send(const Tag& tag, int to, const void*, size_t) {
  return check_peer(tag, to, 0, 1);
}

Status SoloGroup::receive(const Tag& tag, int from, void*, size_t) {
  return check_peer(tag, from, 0, 1);
}

Status SoloGroup::await(const Tag&, const std::function<Result<bool>()>& is_done) {
  for (;;) {
    FATHOM_ASSIGN(const bool done, is_done());
    if (done) return {};
    std::this_thread::yield();
  }
}

}  // namespace fathom::comm
