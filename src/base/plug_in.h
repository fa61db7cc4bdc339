// Parts of Fathom that need libraries which a machine may lack: shared objects beside the binary.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace fathom {

// Where the running binary lies; empty if the system does not tell.
std::filesystem::path binary_directory();

struct PlugIn {
  const char* file;   // beside the binary
  const char* entry;  // its function
  // Whether what it loads looks for its symbols among the global ones.
  bool global = false;
  const char* purpose;  // "ranks", for the error
  const char* needs;    // the package it needs
};

// The address of the entry. The error says what to install; that of a version it does not serve is
// other_version().
Result<void*> load_plug_in(const PlugIn& plug_in);
Error other_version(const PlugIn& plug_in, int version);

}  // namespace fathom
