// What a decode engine knows of one prefill engine: whether it is there, and when to try again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kvtransfer/transport.h"
#include "models/causal_lm.h"

namespace fathom::kvtransfer {

struct PeerState {
  enum class State { kDown, kConnecting, kUp };

  Address address;
  State state = State::kDown;
  PeerId id = 0;                    // unless it is down
  double silent = 0;                // seconds since its last word
  double retry_in = 0;              // seconds, while it is down
  double back_off = 0;              // what retry_in will be next
  int64_t max_context = 0;          // longest prompt it computes
  models::KvBlockFormat wire = {};  // of the blocks it sends
  int64_t blocks = 0;               // asked for and not there yet
  std::string told = {};            // what the log last said about it

  bool up() const { return state == State::kUp; }

  void connecting(PeerId peer);
  void is_up();
  // Whether the log has not said so yet.
  bool is_down(const std::string& reason);
};

}  // namespace fathom::kvtransfer
