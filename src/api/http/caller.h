// Who asks: what the key that came with a request stands for.
#pragma once

#include <cstdint>
#include <string>

namespace fathom::api {

struct Caller {
  // Whose prefixes, stored responses and share of the engine these are: 32 hexadecimal digits, or
  // nothing where no keys are asked for and everyone is one owner.
  std::string owner = {};
  // For the log and metrics: the name that the key's line gives the owner, "key-1f2e3d4c" where it
  // gives none; nothing where no keys are asked for.
  std::string name = {};
  int32_t lowest_priority = 0;  // the most urgent that its requests may ask for; 0 or less
};

// What the engine is told of a request's own cache_salt: prefixes are shared within an owner. No
// two owners have a salt in common, whatever their requests say.
std::string salt_within(const std::string& owner, const std::string& salt);

// For fair scheduling in the engine. Owners whose numbers collide share one share.
uint64_t owner_number(const std::string& owner);

}  // namespace fathom::api
