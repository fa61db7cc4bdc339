// Sets a process up with the operating system before it does anything else.
#pragma once

#include <cstdint>

namespace fathom::cli {

// Puts /dev/null where standard input, output or error is closed: the next file or socket would
// take its place, and get what is printed.
void keep_standard_streams();

// Lets writes to a pipe or socket that nobody reads fail, in place of ending the process.
void ignore_broken_pipes();

// Raises the soft limit of file descriptors to the hard one; a shell's is often 1,024. The limit
// then.
int64_t raise_descriptor_limit();

}  // namespace fathom::cli
