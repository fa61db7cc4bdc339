// Random numbers by counter: no state, any order, any number of threads.
#pragma once

#include <cstdint>
#include <string_view>

namespace fathom::models {

// The same on every machine and in every version.
uint64_t name_key(std::string_view name);

// out[i], i < count: numbers of mean 0 and the given deviation, nearly normal and within 3.5 of it,
// that bf16 holds exactly; a function of (key, row, i).
void random_row(uint64_t key, int64_t row, int64_t count, float deviation, float* out);

}  // namespace fathom::models
