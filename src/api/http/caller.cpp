#include "api/http/caller.h"

#include <charconv>

namespace fathom::api {

std::string salt_within(const std::string& owner, const std::string& salt) {
  return owner + '/' + salt;
}

uint64_t owner_number(const std::string& owner) {
  uint64_t number = 0;
  std::from_chars(owner.data(), owner.data() + owner.size() / 2, number, 16);
  return number;
}

}  // namespace fathom::api
