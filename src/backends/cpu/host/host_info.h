// What the start-up report says of the processor and its memory.
#pragma once

#include <cstdint>
#include <string>

namespace fathom::cpu {

struct HostMemory {
  uint64_t total = 0;  // bytes this process may use; 0 if unknown
  uint64_t free = 0;
};

// "AMD EPYC 7B13"; "CPU" where the system does not tell.
std::string processor_name();

// The machine's memory, or this control group's where that is less.
HostMemory host_memory();

// Processors this process may run on, one or more.
int processor_count();

}  // namespace fathom::cpu
