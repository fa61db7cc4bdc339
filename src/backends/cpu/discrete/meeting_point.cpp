#include "backends/cpu/discrete/meeting_point.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

namespace fathom::cpu::discrete {
namespace {

constexpr size_t kNameBytes = 16;  // of an id
constexpr int kFlags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
// More that have connected and not said who they are would be strangers.
constexpr size_t kMostSilentGuests = 256;

// What a rank says when it comes.
struct Hello {
  int32_t rank;
  int32_t ranks;
};
// What it is told then: each other rank, with the socket to it; last the one that introduced them.
struct Introduction {
  int32_t rank;
  int32_t last;
};

struct Guest {
  Socket socket;
  Hello hello = {};
  size_t heard = 0;  // bytes of it
};

Error system_error(const char* what) {
  return {ErrorCode::kIo, fmt::format("comm_create: {}: {}", what, std::strerror(errno))};
}

// In the abstract namespace.
struct Address {
  explicit Address(const fathom_comm_id& id) {
    const std::string name =
        fmt::format("fathom-ranks-{:02x}", fmt::join(id.bytes, id.bytes + kNameBytes, ""));
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
    bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }

  sockaddr_un address = {};
  socklen_t bytes = 0;
};

// Milliseconds for poll().
int time_left(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1000000));
}

// False where the deadline came first.
Result<bool> wait_for_any(std::vector<pollfd>& sockets, Deadline deadline) {
  for (;;) {
    const int ready = poll(sockets.data(), sockets.size(), time_left(deadline));
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return system_error("poll");
  }
}

bool is_of_this_user(int socket) {
  ucred peer = {};
  socklen_t bytes = sizeof(peer);
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.uid == geteuid();
}

// What has come of a guest's hello. False where there is no more to hear: a stranger.
bool listen_to(Guest& guest) {
  auto* to = reinterpret_cast<std::byte*>(&guest.hello) + guest.heard;
  const ssize_t got = recv(guest.socket.descriptor(), to, sizeof(Hello) - guest.heard, 0);
  if (got > 0) guest.heard += static_cast<size_t>(got);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

Status send_introduction(const Socket& to, const Introduction& introduction, const Socket* other) {
  iovec part = {const_cast<Introduction*>(&introduction), sizeof(introduction)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (other != nullptr) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int descriptor = other->descriptor();
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(descriptor));
  }
  if (sendmsg(to.descriptor(), &message, MSG_NOSIGNAL) == ssize_t{sizeof(introduction)}) return {};
  return system_error("a rank that came is lost");
}

// None where nothing has come yet.
Result<std::optional<Introduction>> read_introduction(const Socket& from, Socket& other) {
  Introduction introduction = {};
  iovec part = {&introduction, sizeof(introduction)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t got = recvmsg(from.descriptor(), &message, MSG_CMSG_CLOEXEC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<Introduction>();
  if (got < 0) return system_error("the rank that made the id is lost");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int descriptor = -1;
    std::memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
    other = Socket(descriptor);
  }
  if (got == ssize_t{sizeof(introduction)}) return std::optional(introduction);
  return Error{ErrorCode::kUnavailable,
               "comm_create: the rank that made the id has given up; its error says why"};
}

class Reception {
 public:
  Reception(const Socket& listener, int rank, int ranks)
      : listener_(listener), rank_(rank), sockets_(static_cast<size_t>(ranks)) {}

  Result<RankSockets> run(Deadline deadline) {
    while (arrived() + 1 < sockets_.size()) {
      FATHOM_TRY(wait(deadline));
      take_in_guests();
      FATHOM_TRY(listen_to_guests());
    }
    FATHOM_TRY(introduce_all());
    return std::move(sockets_);
  }

 private:
  size_t arrived() const {
    return static_cast<size_t>(std::ranges::count_if(sockets_, &Socket::is_open));
  }

  Status wait(Deadline deadline) const {
    std::vector<pollfd> watched = {{listener_.descriptor(), POLLIN, 0}};
    for (const Guest& guest : guests_) watched.push_back({guest.socket.descriptor(), POLLIN, 0});
    FATHOM_ASSIGN(const bool someone, wait_for_any(watched, deadline));
    if (someone) return {};
    std::vector<int> missing;
    for (size_t i = 0; i < sockets_.size(); ++i) {
      if (!sockets_[i].is_open() && i != self()) missing.push_back(static_cast<int>(i));
    }
    return Error{ErrorCode::kUnavailable,
                 fmt::format("comm_create: expected {} ranks by the deadline; not here: rank {}",
                             sockets_.size(), fmt::join(missing, ", "))};
  }

  void take_in_guests() {
    while (guests_.size() < kMostSilentGuests) {
      Socket socket(
          accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!socket.is_open()) return;
      if (is_of_this_user(socket.descriptor())) guests_.push_back({std::move(socket)});
    }
  }

  Status listen_to_guests() {
    for (Guest& guest : guests_) {
      if (!listen_to(guest)) {
        guest.socket = Socket();
      } else if (guest.heard == sizeof(Hello)) {
        FATHOM_TRY(seat(guest));
      }
    }
    std::erase_if(guests_, [](const Guest& guest) { return !guest.socket.is_open(); });
    return {};
  }

  Status seat(Guest& guest) {
    const auto [rank, ranks] = guest.hello;
    const auto place = static_cast<size_t>(rank);
    const bool fits = ranks == static_cast<int>(sockets_.size()) && place < sockets_.size() &&
                      place != self() && !sockets_[place].is_open();
    if (!fits) {
      return Error{
          ErrorCode::kInvalidArgument,
          fmt::format("comm_create: expected each of {} ranks beside {} once, got {} of {}",
                      sockets_.size(), rank_, rank, ranks)};
    }
    sockets_[place] = std::move(guest.socket);
    return {};
  }

  Status introduce_all() const {
    for (size_t one = 0; one < sockets_.size(); ++one) {
      for (size_t other = one + 1; other < sockets_.size(); ++other) {
        if (one != self() && other != self()) FATHOM_TRY(introduce(one, other));
      }
    }
    for (const Socket& socket : sockets_) {
      if (socket.is_open()) FATHOM_TRY(send_introduction(socket, {rank_, 1}, nullptr));
    }
    return {};
  }

  Status introduce(size_t one, size_t other) const {
    int ends[2];
    if (socketpair(AF_UNIX, kFlags, 0, ends) != 0) return system_error("socketpair");
    const Socket first(ends[0]);
    const Socket second(ends[1]);
    FATHOM_TRY(send_introduction(sockets_[one], {static_cast<int32_t>(other), 0}, &first));
    return send_introduction(sockets_[other], {static_cast<int32_t>(one), 0}, &second);
  }

  size_t self() const { return static_cast<size_t>(rank_); }

  const Socket& listener_;
  const int32_t rank_;
  RankSockets sockets_;
  std::vector<Guest> guests_;  // that have not said who they are
};

}  // namespace

Result<MeetingPoint> MeetingPoint::open() {
  MeetingPoint point;
  if (getrandom(point.id_.bytes, kNameBytes, 0) != ssize_t{kNameBytes}) {
    return system_error("getrandom");
  }
  point.listener_ = Socket(socket(AF_UNIX, kFlags, 0));
  const Address address(point.id_);
  if (!point.listener_.is_open()) return system_error("socket");
  if (bind(point.listener_.descriptor(), address.get(), address.bytes) != 0 ||
      listen(point.listener_.descriptor(), SOMAXCONN) != 0) {
    return system_error("listen");
  }
  return point;
}

Result<RankSockets> MeetingPoint::receive(int rank, int ranks, Deadline deadline) const {
  return Reception(listener_, rank, ranks).run(deadline);
}

Result<RankSockets> meet_at(const fathom_comm_id& id, int rank, int ranks, Deadline deadline) {
  Socket host(socket(AF_UNIX, kFlags, 0));
  if (!host.is_open()) return system_error("socket");
  const Address address(id);
  if (connect(host.descriptor(), address.get(), address.bytes) != 0) {
    return system_error("the rank that made the id has ended, or is on another host");
  }
  const Hello hello = {rank, ranks};
  if (send(host.descriptor(), &hello, sizeof(hello), MSG_NOSIGNAL) != ssize_t{sizeof(hello)}) {
    return system_error("the rank that made the id is lost");
  }
  RankSockets sockets(static_cast<size_t>(ranks));
  std::vector<pollfd> watched = {{host.descriptor(), POLLIN, 0}};
  for (;;) {
    FATHOM_ASSIGN(const bool told, wait_for_any(watched, deadline));
    if (!told) {
      return Error{ErrorCode::kUnavailable,
                   fmt::format("comm_create: expected {} ranks by the deadline; the rank that made "
                               "the id says who is not here",
                               ranks)};
    }
    Socket other;
    FATHOM_ASSIGN(const auto introduction, read_introduction(host, other));
    if (!introduction) continue;
    const auto place = static_cast<size_t>(introduction->rank);
    if (introduction->last != 0) other = std::move(host);
    if (place >= sockets.size() || introduction->rank == rank || !other.is_open()) {
      return Error{ErrorCode::kDataCorrupt, "comm_create: expected the sockets of other ranks"};
    }
    sockets[place] = std::move(other);
    if (introduction->last != 0) return sockets;
  }
}

}  // namespace fathom::cpu::discrete
