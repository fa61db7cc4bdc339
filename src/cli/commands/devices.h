// `fathom devices`: which chips there are, and why one cannot be used.
#pragma once

namespace fathom::cli {

struct DevicesOptions {
  bool json = false;
};

// 0, whatever there is.
int run_devices(const DevicesOptions& options);

}  // namespace fathom::cli
