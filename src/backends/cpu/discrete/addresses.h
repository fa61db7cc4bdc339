// Which device memory an operator's arguments name, and how much of it.
#pragma once

#include <cstddef>

#include "backends/cpu/discrete/device_memory.h"
#include "device/abi.h"

namespace fathom::cpu::discrete {

// Visits each address in turn: looks for the memory, remembers the first failure, and puts what the
// address stands for in its place where it shall.
class Addresses {
 public:
  // What becomes of an address that is found.
  enum class Then { kLeft, kReplaced };

  // `memory`'s mutex is held for as long as this and what it found are used.
  Addresses(const DeviceMemory& memory, const char* call, Then then)
      : memory_(memory), call_(call), then_(then) {}

  template <typename T>
  void visit(const char* what, T*& address, size_t bytes) {
    if (bytes == 0 || status_ != FATHOM_OK) return;
    std::byte* found = memory_.find(address, bytes, call_, what);
    if (found == nullptr) {
      status_ = FATHOM_INVALID;
    } else if (then_ == Then::kReplaced) {
      address = reinterpret_cast<T*>(found);
    }
  }
  void visit(const char* what, fathom_tensor& tensor);
  void visit(const char* what, fathom_weight& weight);

  fathom_status status() const { return status_; }

 private:
  const DeviceMemory& memory_;
  const char* call_;
  Then then_;
  fathom_status status_ = FATHOM_OK;
};

// Arguments whose sizes and types were checked (check_args.h).
void visit_addresses(Addresses& addresses, fathom_embed_args& args);
void visit_addresses(Addresses& addresses, fathom_rms_norm_args& args);
void visit_addresses(Addresses& addresses, fathom_linear_args& args);
void visit_addresses(Addresses& addresses, fathom_silu_mul_args& args);
void visit_addresses(Addresses& addresses, fathom_add_args& args);
void visit_addresses(Addresses& addresses, fathom_mla_prepare_args& args);
void visit_addresses(Addresses& addresses, fathom_mla_attention_args& args);
void visit_addresses(Addresses& addresses, fathom_moe_gate_args& args);
void visit_addresses(Addresses& addresses, fathom_moe_experts_args& args);
void visit_addresses(Addresses& addresses, fathom_logits_stats_args& args);
// But for its lists, of which draws in device memory say how long they are.
void visit_addresses(Addresses& addresses, fathom_sample_args& args);
void visit_addresses(Addresses& addresses, fathom_take_tokens_args& args);
void visit_addresses(Addresses& addresses, fathom_moe_exchange_args& args);

// Of the lists, where `args.draws` and `args.num_draws` can be read.
void visit_lists(Addresses& addresses, fathom_sample_args& args);

// Of one of a call's experts, as device memory holds it.
void visit_addresses(Addresses& addresses, const fathom_moe_experts_args& args,
                     fathom_expert& expert);

}  // namespace fathom::cpu::discrete
