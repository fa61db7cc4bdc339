// What libfathom-emulated.so exports.
#include "backends/emulated/emulated_backend.h"

extern "C" __attribute__((visibility("default"))) const fathom_backend* fathom_backend_entry(
    uint32_t host_abi_version) {
  return fathom_emulated_backend_entry(host_abi_version);
}
