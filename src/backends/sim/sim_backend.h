// The backend "sim" (device/abi.h): a chip that computes nothing. Its kernels take the time that a
// cost model says (cost_model.h), and pass a hash of the tokens along in place of numbers
// (row_state.h), so that a sequence's logits depend on its tokens and on nothing else. For load
// tests, gateways and plans: weights are address space that nobody ever touches.
#pragma once

#include "device/abi.h"

extern "C" const fathom_backend* fathom_sim_backend_entry(uint32_t host_abi_version);
