// What each file *_fuzz.cpp here defines: it takes any bytes and must neither crash, hang, nor use
// memory without bound; where two ways must agree it aborts if they do not. libFuzzer calls it in
// the build "fuzz"; replay_main.cpp does in the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fathom::fuzz {

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace fathom::fuzz
