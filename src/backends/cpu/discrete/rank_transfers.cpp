#include "backends/cpu/discrete/rank_transfers.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace fathom::cpu::discrete {
namespace {

// More bytes than were moved may be left; none where the socket has to be waited for; an errno
// where it is lost.
struct Moved {
  size_t bytes = 0;
  int error = 0;
};

Moved moved_by(ssize_t result) {
  if (result > 0) return {static_cast<size_t>(result), 0};
  if (result == 0) return {0, ECONNRESET};
  const bool waits = errno == EAGAIN || errno == EINTR;
  return {0, waits ? 0 : errno};
}

}  // namespace

RankTransfers::RankTransfers(RankSockets sockets, int rank)
    : sockets_(std::move(sockets)),
      rank_(rank),
      sending_(sockets_.size()),
      receiving_(sockets_.size()) {
  watched_.reserve(sockets_.size());
}

RankTransfers::~RankTransfers() = default;

void RankTransfers::send(int to, const void* data, size_t bytes) {
  sending_[static_cast<size_t>(to)] = {static_cast<std::byte*>(const_cast<void*>(data)), bytes};
}

void RankTransfers::receive(int from, void* data, size_t bytes) {
  receiving_[static_cast<size_t>(from)] = {static_cast<std::byte*>(data), bytes};
}

Status RankTransfers::wait() {
  for (;;) {
    bool is_done = true;
    bool has_moved = false;
    for (size_t peer = 0; peer < sockets_.size(); ++peer) {
      FATHOM_ASSIGN(const bool some, move(peer));
      has_moved = has_moved || some;
      is_done = is_done && sending_[peer].left == 0 && receiving_[peer].left == 0;
    }
    if (is_done) return {};
    if (!has_moved) FATHOM_TRY(wait_for_sockets());
  }
}

Result<bool> RankTransfers::move(size_t peer) {
  const int socket = sockets_[peer].descriptor();
  Part& out = sending_[peer];
  Part& in = receiving_[peer];
  Moved sent, received;
  if (out.left > 0) {
    sent = moved_by(::send(socket, out.data, out.left, MSG_NOSIGNAL));
    out = {out.data + sent.bytes, out.left - sent.bytes};
  }
  if (in.left > 0) {
    received = moved_by(recv(socket, in.data, in.left, 0));
    in = {in.data + received.bytes, in.left - received.bytes};
  }
  if (cancelled_) return Error{ErrorCode::kCancelled, "comm_abort() was called on this rank"};
  if (sent.error != 0 || received.error != 0) return lost(peer);
  return sent.bytes > 0 || received.bytes > 0;
}

Status RankTransfers::wait_for_sockets() {
  watched_.clear();
  for (size_t peer = 0; peer < sockets_.size(); ++peer) {
    const int events =
        (sending_[peer].left > 0 ? POLLOUT : 0) | (receiving_[peer].left > 0 ? POLLIN : 0);
    if (events != 0) {
      watched_.push_back({sockets_[peer].descriptor(), static_cast<short>(events), 0});
    }
  }
  if (poll(watched_.data(), watched_.size(), -1) >= 0 || errno == EINTR) return {};
  return Error{ErrorCode::kIo, fmt::format("poll: {}", std::strerror(errno))};
}

Error RankTransfers::lost(size_t peer) const {
  return {
      ErrorCode::kUnavailable,
      fmt::format("rank {} of the group has ended or given up, seen by its rank {}", peer, rank_)};
}

// What waits for a socket is woken by its end.
void RankTransfers::cancel() {
  cancelled_ = true;
  for (const Socket& socket : sockets_) {
    if (socket.is_open()) shutdown(socket.descriptor(), SHUT_RDWR);
  }
}

}  // namespace fathom::cpu::discrete
