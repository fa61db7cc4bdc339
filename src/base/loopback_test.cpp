#include "base/loopback.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(Loopback, IsWhatOnlyThisMachineReaches) {
  for (const char* host : {"localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "[::]", "192.0.2.7", "localhost.example", ""}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

}  // namespace
}  // namespace fathom
