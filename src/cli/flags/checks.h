// What values of flags may be. Errors read "--port: expected a whole number from 0 to 65535, got
// x".
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace fathom::cli {

// To be given to transform(): it also writes the number as CLI11 reads it.
CLI::Validator whole_number(int64_t low, int64_t high);
CLI::Validator number(double low, double high);
// Its description is {a,b}, by which shells complete.
CLI::Validator one_of(std::vector<std::string> names);

// The flag takes on and off, and words that mean the same.
CLI::Option* takes_on_off(CLI::Option* flag);
// The flag takes bytes from 1 to `most`, or a size with a unit: 64GB, 64GiB.
CLI::Option* takes_size(CLI::Option* flag, int64_t most);

// "a, b or c".
std::string list_of(const std::vector<std::string>& names);

}  // namespace fathom::cli
