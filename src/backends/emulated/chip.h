// One opened emulated chip.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "backends/emulated/device_memory.h"
#include "backends/emulated/lane_order.h"
#include "backends/emulated/machine.h"
#include "backends/emulated/stream.h"
#include "backends/gpu/host/driver.h"

namespace fathom::emulated {

struct ChipOptions {
  int warp = 32;
  std::string order_text = "rising";
  LaneOrder order;
  int threads = 1;  // of the host
  bool checks_races = true;
  uint64_t lose_at = 0;  // the piece of work at which the chip is lost; 0: none
};

class EmulatedChip : public gpu::Chip {
 public:
  explicit EmulatedChip(const ChipOptions& options);
  ~EmulatedChip() override;

  fathom_status info(gpu::ChipInfo& info) override;
  const gpu::KernelSet& kernels() const override;

  fathom_status alloc(size_t bytes, void** memory) override;
  void free(void* memory) override;
  fathom_status host_alloc(size_t bytes, void** memory) override;
  void host_free(void* memory) override;

  fathom_status queue_create(gpu::Queue** queue) override;
  void queue_destroy(gpu::Queue* queue) override;
  fathom_status synchronize(gpu::Queue& queue) override;

  fathom_status copy(gpu::Queue& queue, Direction direction, void* to, const void* from,
                     size_t bytes) override;
  fathom_status fill(gpu::Queue& queue, void* to, uint8_t value, size_t bytes) override;

  fathom_status event_create(gpu::Event** event) override;
  void event_destroy(gpu::Event* event) override;
  fathom_status event_record(gpu::Queue& queue, gpu::Event& event) override;
  fathom_status event_wait(gpu::Queue& queue, gpu::Event& event) override;
  fathom_status event_query(gpu::Event& event, bool& is_reached) override;
  fathom_status event_synchronize(gpu::Event& event) override;
  fathom_status event_elapsed_ms(gpu::Event& from, gpu::Event& to, float& milliseconds) override;

  bool has_graphs() const override { return true; }
  fathom_status graph_begin(gpu::Queue& queue) override;
  fathom_status graph_end(gpu::Queue& queue, gpu::Graph** graph) override;
  fathom_status graph_launch(gpu::Queue& queue, gpu::Graph& graph) override;
  void graph_destroy(gpu::Graph* graph) override;

  // What streams do.
  fathom_status run_kernel(const Grid& grid, void (*body)(const void*), const void* arguments);
  fathom_status lose_if_due();
  const DeviceMemory& memory() const { return memory_; }

 private:
  struct Event;
  struct Graph;

  ChipOptions options_;
  std::atomic<bool> is_lost_ = false;
  std::atomic<uint64_t> pieces_ = 0;
  DeviceMemory memory_;
  Machine machine_;
  uint64_t streams_made_ = 0;
};

}  // namespace fathom::emulated
