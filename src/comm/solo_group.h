// The group of a rank that is alone: nothing is sent, sums are their one term.
#pragma once

#include "comm/group.h"

namespace fathom::comm {

class SoloGroup : public Group {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  Result<std::unique_ptr<Group>> split(const Tag& tag, int color, int key) override;
  Status all_reduce(const Tag& tag, fathom_dtype dtype, void* data, int64_t count) override;
  Status reduce_scatter(const Tag& tag, fathom_dtype dtype, const void* data, void* out,
                        std::span<const int64_t> counts) override;
  Status all_gather(const Tag& tag, const void* data, void* all,
                    std::span<const size_t> bytes) override;
  Status all_to_all(const Tag& tag, const void* data, std::span<const size_t> data_bytes, void* out,
                    std::span<const size_t> out_bytes) override;
  Status broadcast(const Tag& tag, int root, void* data, size_t bytes) override;
  Status barrier(const Tag& tag) override;
  Status send(const Tag& tag, int to, const void* data, size_t bytes) override;
  Status receive(const Tag& tag, int from, void* data, size_t bytes) override;
  Status await(const Tag& tag, const std::function<Result<bool>()>& is_done) override;
  Error explain(const Error& error) override { return error; }
};

}  // namespace fathom::comm
