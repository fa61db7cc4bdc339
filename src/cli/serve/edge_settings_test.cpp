#include "cli/serve/edge_settings.h"

#include <gtest/gtest.h>

namespace fathom::cli {
namespace {

TEST(EdgeSettings, ConnectionsFitTheDescriptors) {
  EdgeSettings settings;
  EXPECT_EQ(connections_that_fit(settings, 1 << 20).value(), kDefaultConnections);
  EXPECT_EQ(connections_that_fit(settings, 1024).value(), 768);
  EXPECT_EQ(connections_that_fit(settings, 10).value(), 1);
  settings.max_connections = 20'000;
  EXPECT_EQ(connections_that_fit(settings, 1 << 20).value(), 20'000);
  const auto refused = connections_that_fit(settings, 1024);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("--max-connections 20000: expected at most 768"),
            std::string::npos);
}

TEST(EdgeSettings, HostsAreCheckedWhereAPageCouldReachTheServer) {
  EdgeSettings settings;
  EXPECT_TRUE(checks_host(settings));
  settings.api_keys = "keys";
  EXPECT_FALSE(checks_host(settings));
  settings.api_keys = "";
  settings.host = "0.0.0.0";
  EXPECT_FALSE(checks_host(settings));
  settings.allowed_hosts = {"llm.example"};
  EXPECT_TRUE(checks_host(settings));
  settings.host = "::1";
  EXPECT_EQ(known_hosts(settings), (std::vector<std::string>{"llm.example", "[::1]"}));
}

TEST(EdgeSettings, AllBodiesHaveRoomForOne) {
  EdgeSettings settings;
  EXPECT_TRUE(check_edge(settings).ok());
  settings.max_body_mib = 600;
  const auto refused = check_edge(settings);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("--max-bodies"), std::string::npos);
}

}  // namespace
}  // namespace fathom::cli
