// `fathom doctor`: what this machine has, what is missing, and how to mend it.
#pragma once

#include <filesystem>

namespace fathom::cli {

struct DoctorOptions {
  std::filesystem::path model;  // looked at too, if given
  int port = 8000;
};

// Prints one line a finding. 0 if nothing keeps Fathom from serving, else 1.
int run_doctor(const DoctorOptions& options);

}  // namespace fathom::cli
