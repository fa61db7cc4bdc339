#include "backends/cpu/discrete/graphs.h"

#include <new>
#include <utility>
#include <vector>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/discrete/discrete_device.h"

struct fathom_graph {};

namespace fathom::cpu::discrete {
namespace {

struct Graph : fathom_graph {
  explicit Graph(std::vector<WorkQueue::Work>&& recorded) : work(std::move(recorded)) {}

  std::vector<WorkQueue::Work> work;
  WorkQueue* queue = nullptr;  // that it was launched on last
  uint64_t point = 0;
};

Graph& graph_of(fathom_graph* graph) {
  return *static_cast<Graph*>(graph);
}

fathom_status graph_begin(fathom_device*, fathom_stream* stream) {
  WorkQueue& queue = queue_of(stream);
  FATHOM_CPU_TRY(queue.check_not_recording("graph_begin"));
  queue.begin_recording();
  return FATHOM_OK;
}

fathom_status graph_end(fathom_device*, fathom_stream* stream, fathom_graph** graph) {
  WorkQueue& queue = queue_of(stream);
  if (!queue.is_recording()) {
    return invalid("cpu-discrete: graph_end: expected graph_begin() on the stream before it");
  }
  *graph = new (std::nothrow) Graph(queue.end_recording());
  if (*graph != nullptr) return FATHOM_OK;
  return device::fail(FATHOM_NO_MEMORY, "cpu-discrete graph: no memory");
}

fathom_status run_graph(Device& device, WorkQueue& queue, void* arguments) {
  for (const WorkQueue::Work& recorded : (*static_cast<Graph**>(arguments))->work) {
    WorkQueue::Work work = recorded;  // running it replaces addresses in its arguments
    FATHOM_CPU_TRY(work.run(device, queue, work.arguments));
  }
  return FATHOM_OK;
}

fathom_status graph_launch(fathom_device*, fathom_stream* stream, fathom_graph* handle) {
  Graph* graph = &graph_of(handle);
  WorkQueue& queue = queue_of(stream);
  FATHOM_CPU_TRY(queue.check_not_recording("graph_launch"));
  FATHOM_CPU_TRY(queue.push(run_graph, graph));
  graph->queue = &queue;
  graph->point = queue.point();
  return FATHOM_OK;
}

void graph_destroy(fathom_device*, fathom_graph* handle) {
  Graph* graph = &graph_of(handle);
  if (graph->queue != nullptr) graph->queue->wait_until(graph->point);
  delete graph;
}

}  // namespace

void fill_graphs(fathom_backend& table) {
  table.graph_begin = graph_begin;
  table.graph_end = graph_end;
  table.graph_launch = graph_launch;
  table.graph_destroy = graph_destroy;
}

}  // namespace fathom::cpu::discrete
