#include <utility>

#include "models/deepseek_v3/ranks/chip_group.h"

namespace fathom::models::deepseek_v3 {
namespace {

class StreamGroup final : public ChipGroup {
 public:
  explicit StreamGroup(device::Communicator chips) : chips_(std::move(chips)) {}

  Status all_reduce(const comm::Tag&, fathom_dtype dtype, void* data, int64_t count) override {
    return chips_.all_reduce(dtype, data, data, count);
  }
  Status reduce_scatter(const comm::Tag&, fathom_dtype dtype, const void* data, void* out,
                        std::span<const int64_t> counts) override {
    return chips_.reduce_scatter(dtype, data, out, counts);
  }
  Status all_gather(const comm::Tag&, const void* data, void* all,
                    std::span<const size_t> bytes) override {
    return chips_.all_gather(data, all, bytes);
  }
  Status all_to_all(const comm::Tag&, const void* data, std::span<const size_t> data_bytes,
                    void* out, std::span<const size_t> out_bytes) override {
    return chips_.all_to_all(data, data_bytes, out, out_bytes);
  }
  Status send(const comm::Tag&, int to, const void* data, size_t bytes) override {
    return chips_.send(to, data, bytes);
  }
  Status receive(const comm::Tag&, int from, void* data, size_t bytes) override {
    return chips_.receive(from, data, bytes);
  }
  fathom_comm* chips() const override { return chips_.handle(); }
  void abort() override { chips_.abort(); }

 private:
  device::Communicator chips_;
};

}  // namespace

std::unique_ptr<ChipGroup> on_the_stream(device::Communicator chips) {
  return std::make_unique<StreamGroup>(std::move(chips));
}

}  // namespace fathom::models::deepseek_v3
