#include "serving/sd_notify.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace fathom::serving {

bool notify_manager(std::string_view state) {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr) return false;
  const size_t length = std::strlen(name);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const bool abstract = name[0] == '@';  // no file: a name that begins with a zero
  if ((!abstract && name[0] != '/') || length >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, name, length);
  if (abstract) address.sun_path[0] = '\0';

  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const ssize_t sent = sendto(socket, state.data(), state.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address),
                              static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  close(socket);
  return sent == static_cast<ssize_t>(state.size());
}

void LoadingStatus::update(size_t done_bytes, size_t total_bytes) {
  if (total_bytes == 0) return;
  const double share = static_cast<double>(done_bytes) / static_cast<double>(total_bytes);
  const int percent = static_cast<int>(std::min(1.0, share) * 100);
  if (percent == last_percent_) return;
  last_percent_ = percent;
  notify_manager(fmt::format("STATUS=loading {}: {}% of {:.1f} GB", name_, percent,
                             static_cast<double>(total_bytes) / 1e9));
}

}  // namespace fathom::serving
