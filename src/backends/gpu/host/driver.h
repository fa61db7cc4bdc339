// What a dialect gives beside its words: its chips, their memory and their streams. The host side
// (backend_table.h) makes the contract's table of it. A function that fails has set last_error(),
// with a sentence an operator can act on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "backends/gpu/kernel_set.h"
#include "device/abi.h"

namespace fathom::gpu {

// A dialect's own, behind the contract's handles.
struct Event {};
struct Graph {};

struct ChipInfo {
  std::string name;
  uint64_t memory_bytes = 0;
  uint64_t memory_free = 0;
  bool is_asynchronous = true;
  bool is_batch_invariant = false;  // shown on this chip, not only meant
};

// One opened chip. Its functions mean what the contract's of the same names do. A chip that is lost
// answers FATHOM_DEVICE_LOST; from then on the host asks it nothing but to close.
class Chip {
 public:
  virtual ~Chip() = default;

  virtual fathom_status info(ChipInfo& info) = 0;
  virtual const KernelSet& kernels() const = 0;

  virtual fathom_status alloc(size_t bytes, void** memory) = 0;
  virtual void free(void* memory) = 0;
  virtual fathom_status host_alloc(size_t bytes, void** memory) = 0;
  virtual void host_free(void* memory) = 0;

  virtual fathom_status queue_create(Queue** queue) = 0;
  virtual void queue_destroy(Queue* queue) = 0;
  virtual fathom_status synchronize(Queue& queue) = 0;

  enum class Direction { kToDevice, kToHost, kOnDevice };
  virtual fathom_status copy(Queue& queue, Direction direction, void* to, const void* from,
                             size_t bytes) = 0;
  virtual fathom_status fill(Queue& queue, void* to, uint8_t value, size_t bytes) = 0;

  virtual fathom_status event_create(Event** event) = 0;
  virtual void event_destroy(Event* event) = 0;
  virtual fathom_status event_record(Queue& queue, Event& event) = 0;
  virtual fathom_status event_wait(Queue& queue, Event& event) = 0;
  virtual fathom_status event_query(Event& event, bool& is_reached) = 0;
  virtual fathom_status event_synchronize(Event& event) = 0;
  virtual fathom_status event_elapsed_ms(Event& from, Event& to, float& milliseconds) = 0;

  // Chips without graphs leave them as they are.
  virtual bool has_graphs() const { return false; }
  virtual fathom_status graph_begin(Queue&) { return FATHOM_UNSUPPORTED; }
  virtual fathom_status graph_end(Queue&, Graph**) { return FATHOM_UNSUPPORTED; }
  virtual fathom_status graph_launch(Queue&, Graph&) { return FATHOM_UNSUPPORTED; }
  virtual void graph_destroy(Graph*) {}
};

class Driver {
 public:
  virtual ~Driver() = default;

  virtual const char* name() const = 0;
  virtual const char* version() const = 0;
  // Fails where there is no driver, or one too old for this library.
  virtual fathom_status count(int32_t& count) = 0;
  // `options` are the contract's, whose index is in range.
  virtual fathom_status open(const fathom_device_options& options, std::unique_ptr<Chip>& chip) = 0;
};

}  // namespace fathom::gpu
