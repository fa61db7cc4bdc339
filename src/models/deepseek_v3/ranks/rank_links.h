// What a rank's chip passes to the chips of other ranks in a step: on the chip's stream where all
// chips have collectives (FATHOM_CAP_COLLECTIVES), else through their hosts. The same bits both
// ways.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/ranks/chip_group.h"
#include "models/deepseek_v3/ranks/ranks.h"
#include "models/deepseek_v3/ranks/row_parts.h"

namespace fathom::models::deepseek_v3 {

class RankLinks {
 public:
  // For steps within the limits. Collective; the groups of `ranks` and the device must outlive the
  // links.
  static Result<std::unique_ptr<RankLinks>> make(device::Device& device, const Ranks& ranks,
                                                 const Config& config, const ParallelLayout& layout,
                                                 const RunLimits& limits);
  // Ends what still waits for other ranks.
  ~RankLinks();
  RankLinks(const RankLinks&) = delete;
  RankLinks& operator=(const RankLinks&) = delete;

  // As those of Ranks.
  ChipGroup& tensor() { return *tensor_; }
  ChipGroup& data() { return *data_; }
  ChipGroup& pipeline() { return *pipeline_; }
  // Of rows over the tensor group.
  RowParts& parts() { return parts_; }

  bool on_stream() const { return on_stream_; }
  // Whether it is so on all ranks. Collective, while a model loads.
  Result<bool> all_ranks(const char* what, bool here) const;

  // Waits for all that is queued. Where other chips are part of it, the host waits as in an
  // operation of all ranks: whoever is lost or does not come is named, by a deadline.
  Status wait(const Ranks& ranks);
  // What a step failed by: ends what other ranks would wait for, and finds out who is lost.
  Error fail(const Error& error);

 private:
  RankLinks(device::Device& device, comm::Group& world, int64_t tp)
      : device_(device), world_(world), parts_(tp) {}

  Status link_chips(const Ranks& ranks);
  Status link_hosts(const Ranks& ranks, const Config& config, const ParallelLayout& layout,
                    const RunLimits& limits);
  void abort();

  device::Device& device_;
  comm::Group& world_;
  RowParts parts_;
  bool on_stream_ = false;
  bool aborted_ = false;
  device::Event end_;  // of what is queued
  RankStaging staging_;
  std::unique_ptr<ChipGroup> tensor_, data_, pipeline_;
};

}  // namespace fathom::models::deepseek_v3
