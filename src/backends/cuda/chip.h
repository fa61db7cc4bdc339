// One opened NVIDIA GPU, by the runtime that is linked in; the runtime opens the driver.
#pragma once

#include "backends/gpu/host/driver.h"

namespace fathom::cuda {

class CudaChip : public gpu::Chip {
 public:
  explicit CudaChip(int index) : index_(index) {}

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

 private:
  // The runtime's calls are for the device that the calling thread has chosen last.
  fathom_status choose() const;

  int index_;
};

}  // namespace fathom::cuda
