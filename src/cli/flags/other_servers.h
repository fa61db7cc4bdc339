// Flags of vLLM, SGLang and llama.cpp: what they are called here, or what to do in their place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::cli {

struct OtherName {
  const char* name;    // as it is typed there
  bool takes_value;    // there
  const char* ours;    // the flag that means exactly the same; null: there is none
  const char* value;   // what to give ours, where theirs takes none; null: theirs
  const char* advice;  // where there is none: what to write in its place, or why to leave it out
  const char* layout;  // the part of a layout that it gives: "tp"; null: it gives none
};
// Null: no server we know has it.
const OtherName* find_other_name(std::string_view name);

// A flag that says how ranks divide the model, as it was written.
struct LayoutFlag {
  std::string name;
  std::string layout;  // OtherName::layout
  std::string value;
};
// What to write in place of all of them: here that is one flag.
std::string layout_advice(const std::vector<LayoutFlag>& flags);

// What to write where a flag of ours has a value as another server's flag of that name takes it.
std::optional<std::string> other_meaning(std::string_view key, const std::string& value);

}  // namespace fathom::cli
