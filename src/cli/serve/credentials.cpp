#include "cli/serve/credentials.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace fathom::cli {

Result<std::string> credential_file(const char* flag, const std::string& text) {
  constexpr std::string_view kPrefix = "credential:";
  if (!text.starts_with(kPrefix)) return text;
  const std::string name = text.substr(kPrefix.size());
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos) {
    return invalid_argument(
        fmt::format("{} {}: expected credential:NAME with the name of a credential", flag, text),
        flag);
  }
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory == '\0') {
    return invalid_argument(
        fmt::format("{} {}: expected $CREDENTIALS_DIRECTORY, which systemd sets for a unit with "
                    "LoadCredential={}:FILE, got none",
                    flag, text, name),
        flag);
  }
  return fmt::format("{}/{}", directory, name);
}

}  // namespace fathom::cli
