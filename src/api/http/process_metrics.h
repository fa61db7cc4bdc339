// What /metrics tells of the process, under the names that Prometheus' own clients use.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

namespace fathom::api {

class ProcessMetrics {
 public:
  explicit ProcessMetrics(prometheus::Registry& registry);

  // Reads them from the system; what it does not tell stays as it was. One thread at a time.
  void refresh();

 private:
  prometheus::Gauge& resident_bytes_;
  prometheus::Gauge& virtual_bytes_;
  prometheus::Gauge& open_descriptors_;
  prometheus::Gauge& max_descriptors_;
  prometheus::Gauge& start_time_;
  prometheus::Counter& processor_seconds_;
};

}  // namespace fathom::api
