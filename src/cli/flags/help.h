// What --help prints: flags by groups, in lines of 100 columns.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace fathom::cli {

// Names of groups, by what most people look for first. A flag's group() is one of them.
inline constexpr const char* kModelGroup = "Model";
inline constexpr const char* kNetworkGroup = "Network and TLS";
inline constexpr const char* kAccessGroup = "Keys and access";
inline constexpr const char* kConversationGroup = "Conversation";
inline constexpr const char* kMeasureGroup = "What to measure";
inline constexpr const char* kOutputGroup = "What to write";
inline constexpr const char* kSpeedGroup = "Chip and speed";
inline constexpr const char* kRequestsGroup = "Requests and memory";
inline constexpr const char* kLimitsGroup = "Limits of connections";
inline constexpr const char* kRanksGroup = "Ranks and layouts";
inline constexpr const char* kDisaggregationGroup = "Prefill and decode apart";
inline constexpr const char* kLoggingGroup = "Logging";
inline constexpr const char* kOtherGroup = "Other";

struct FlagGroup {
  std::string name;
  std::vector<const CLI::Option*> flags;  // in the order they were added
};
// In the order above.
std::vector<FlagGroup> groups_of(const CLI::App& command);

// Of one command.
std::string command_help(const CLI::App& command);
// Of the binary: its commands.
std::string binary_help(const CLI::App& app);

}  // namespace fathom::cli
