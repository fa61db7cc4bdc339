// Parts of Fathom that need libraries which a machine may lack: shared objects that are loaded
// where they are needed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace fathom {

// Where plug-ins are looked for, in this order: beside the running binary, as built, and in
// ../lib/fathom from there, as installed. Empty if the binary's place is unknown.
std::vector<std::filesystem::path> plug_in_directories();

struct PlugIn {
  const char* file;
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
