// A group's operations by a chip's collectives, so that comm's own checks say what they must give.
#pragma once

#include <numeric>
#include <vector>

#include "comm/group.h"
#include "device/communicator.h"
#include "device/device.h"
#include "device/tensor.h"

namespace fathom::cpu::discrete {

class GroupOfChips final : public comm::Group {
 public:
  GroupOfChips(device::Device& device, device::Communicator& chips, int rank, int size)
      : device_(device), chips_(chips), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Result<std::unique_ptr<comm::Group>> split(const comm::Tag&, int, int) override {
    return Error{ErrorCode::kUnsupported, "split: a chip's groups are not divided"};
  }

  Status all_reduce(const comm::Tag&, fathom_dtype dtype, void* data, int64_t count) override {
    const size_t bytes = static_cast<size_t>(count) * device::dtype_size(dtype);
    FATHOM_ASSIGN(const device::Buffer memory, upload(data, bytes));
    FATHOM_TRY(chips_.all_reduce(dtype, memory.data(), memory.data(), count));
    return download(memory, data, bytes);
  }

  Status reduce_scatter(const comm::Tag&, fathom_dtype dtype, const void* data, void* out,
                        std::span<const int64_t> counts) override {
    const size_t width = device::dtype_size(dtype);
    const auto all = static_cast<size_t>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
    const size_t own = static_cast<size_t>(counts[static_cast<size_t>(rank_)]) * width;
    FATHOM_ASSIGN(const device::Buffer memory, upload(data, all * width));
    FATHOM_ASSIGN(const device::Buffer sums, device_.alloc(own));
    FATHOM_TRY(chips_.reduce_scatter(dtype, memory.data(), sums.data(), counts));
    return download(sums, out, own);
  }

  Status all_gather(const comm::Tag&, const void* data, void* all,
                    std::span<const size_t> bytes) override {
    const size_t sum = std::accumulate(bytes.begin(), bytes.end(), size_t{0});
    FATHOM_ASSIGN(const device::Buffer memory, upload(data, bytes[static_cast<size_t>(rank_)]));
    FATHOM_ASSIGN(const device::Buffer gathered, device_.alloc(sum));
    FATHOM_TRY(chips_.all_gather(memory.data(), gathered.data(), bytes));
    return download(gathered, all, sum);
  }

  Status all_to_all(const comm::Tag&, const void* data, std::span<const size_t> data_bytes,
                    void* out, std::span<const size_t> out_bytes) override {
    const size_t received = std::accumulate(out_bytes.begin(), out_bytes.end(), size_t{0});
    FATHOM_ASSIGN(const device::Buffer memory,
                  upload(data, std::accumulate(data_bytes.begin(), data_bytes.end(), size_t{0})));
    FATHOM_ASSIGN(const device::Buffer arrived, device_.alloc(received));
    FATHOM_TRY(chips_.all_to_all(memory.data(), data_bytes, arrived.data(), out_bytes));
    return download(arrived, out, received);
  }

  Status broadcast(const comm::Tag&, int root, void* data, size_t bytes) override {
    FATHOM_ASSIGN(const device::Buffer memory, upload(data, bytes));
    FATHOM_TRY(chips_.broadcast(root, memory.data(), bytes));
    return download(memory, data, bytes);
  }

  Status barrier(const comm::Tag& tag) override {
    const std::vector<size_t> nothing(static_cast<size_t>(size_));
    return all_gather(tag, nullptr, nullptr, nothing);
  }

  Status send(const comm::Tag&, int to, const void* data, size_t bytes) override {
    FATHOM_ASSIGN(const device::Buffer memory, upload(data, bytes));
    FATHOM_TRY(chips_.send(to, memory.data(), bytes));
    return device_.synchronize();
  }

  Status receive(const comm::Tag&, int from, void* data, size_t bytes) override {
    FATHOM_ASSIGN(const device::Buffer memory, device_.alloc(bytes));
    FATHOM_TRY(chips_.receive(from, memory.data(), bytes));
    return download(memory, data, bytes);
  }

  Status await(const comm::Tag&, const std::function<Result<bool>()>&) override {
    return device_.synchronize();
  }
  Error explain(const Error& error) override { return error; }

 private:
  Result<device::Buffer> upload(const void* data, size_t bytes) {
    FATHOM_ASSIGN(device::Buffer memory, device_.alloc(bytes));
    FATHOM_TRY(device_.copy_to_device(memory.data(), data, bytes));
    return memory;
  }
  Status download(const device::Buffer& memory, void* data, size_t bytes) {
    FATHOM_TRY(device_.copy_to_host(data, memory.data(), bytes));
    return device_.synchronize();
  }

  device::Device& device_;
  device::Communicator& chips_;
  const int rank_;
  const int size_;
};

}  // namespace fathom::cpu::discrete
