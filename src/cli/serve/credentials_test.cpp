#include "cli/serve/credentials.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace fathom::cli {
namespace {

TEST(Credentials, AreFilesOfTheServiceManager) {
  setenv("CREDENTIALS_DIRECTORY", "/run/credentials/fathom.service", 1);
  EXPECT_EQ(*credential_file("--api-keys", "credential:api-keys"),
            "/run/credentials/fathom.service/api-keys");
  EXPECT_EQ(*credential_file("--api-keys", "keys.txt"), "keys.txt");
  unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_EQ(*credential_file("--api-keys", "/etc/keys"), "/etc/keys");
}

TEST(Credentials, SayWhatIsMissing) {
  unsetenv("CREDENTIALS_DIRECTORY");
  const auto missing = credential_file("--tls-key", "credential:key");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().where, "--tls-key");
  EXPECT_NE(missing.error().message.find("LoadCredential=key:FILE"), std::string::npos);
}

TEST(Credentials, AreNoWayElsewhere) {
  setenv("CREDENTIALS_DIRECTORY", "/run/credentials/fathom.service", 1);
  for (const char* text : {"credential:", "credential:..", "credential:.", "credential:../x"}) {
    EXPECT_FALSE(credential_file("--api-keys", text).ok()) << text;
  }
  unsetenv("CREDENTIALS_DIRECTORY");
}

}  // namespace
}  // namespace fathom::cli
