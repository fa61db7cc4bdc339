// Tells the service manager how the process is, as systemd's services of Type=notify do
// (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fathom::serving {

// Lines like "READY=1" and "STATUS=serving". Whether it was told: nobody may ask to be.
bool notify_manager(std::string_view state);

// Tells how far loading is, a percent at a time.
class LoadingStatus {
 public:
  explicit LoadingStatus(std::string name) : name_(std::move(name)) {}
  void update(size_t done_bytes, size_t total_bytes);

 private:
  const std::string name_;
  int last_percent_ = -1;
};

}  // namespace fathom::serving
