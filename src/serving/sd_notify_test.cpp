#include "serving/sd_notify.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace fathom::serving {
namespace {

// The service manager's end: a socket by the name that NOTIFY_SOCKET gives.
class Manager {
 public:
  explicit Manager(const std::string& name) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(bind(socket_, reinterpret_cast<const sockaddr*>(&address), length), 0) << name;
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    close(socket_);
  }
  std::string told() {
    std::string text(1000, '\0');
    const ssize_t bytes = recv(socket_, text.data(), text.size(), MSG_DONTWAIT);
    text.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
    return text;
  }

 private:
  int socket_ = -1;
};

std::string socket_path() {
  return ::testing::TempDir() + "fathom-notify-" + std::to_string(getpid());
}

TEST(SdNotify, SendsOneDatagram) {
  const std::string path = socket_path();
  for (const std::string& name : {path, "@fathom-notify-" + std::to_string(getpid())}) {
    Manager manager(name);
    EXPECT_TRUE(notify_manager("READY=1\nSTATUS=serving"));
    EXPECT_EQ(manager.told(), "READY=1\nSTATUS=serving");
  }
  unlink(path.c_str());
}

TEST(SdNotify, NobodyMayAsk) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(notify_manager("READY=1"));
  for (const std::string& name : {std::string("relative"), std::string(), std::string(200, '/'),
                                  ::testing::TempDir() + "fathom-nobody-here"}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_FALSE(notify_manager("READY=1")) << name;
  }
  unsetenv("NOTIFY_SOCKET");
}

TEST(SdNotify, LoadingIsToldAPercentAtATime) {
  Manager manager("@fathom-loading-" + std::to_string(getpid()));
  LoadingStatus status("tiny");
  status.update(0, 0);
  status.update(10, 2'000'000'000);
  status.update(20, 2'000'000'000);
  EXPECT_EQ(manager.told(), "STATUS=loading tiny: 0% of 2.0 GB");
  status.update(1'000'000'000, 2'000'000'000);
  EXPECT_EQ(manager.told(), "STATUS=loading tiny: 50% of 2.0 GB");
  EXPECT_EQ(manager.told(), "");
}

}  // namespace
}  // namespace fathom::serving
