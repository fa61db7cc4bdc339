#include "kvtransfer/peer_state.h"

#include <algorithm>
#include <utility>

namespace fathom::kvtransfer {
namespace {

constexpr double kFirstBackOff = 0.2;  // seconds; twice as long each time
constexpr double kLongestBackOff = 5;

}  // namespace

void PeerState::connecting(PeerId peer) {
  state = State::kConnecting;
  id = peer;
  silent = 0;
}

void PeerState::is_up() {
  state = State::kUp;
  back_off = 0;
  told.clear();
}

bool PeerState::is_down(const std::string& reason) {
  state = State::kDown;
  id = 0;
  blocks = 0;
  back_off = std::clamp(2 * back_off, kFirstBackOff, kLongestBackOff);
  retry_in = back_off;
  return std::exchange(told, reason) != reason;
}

}  // namespace fathom::kvtransfer
