// SIGTERM as an event that a thread can wait for.
#pragma once

namespace fathom::comm {

// From now on SIGTERM makes a descriptor readable instead of ending the process, unless the program
// already handles it. Returns the descriptor, or -1 if the program does.
int catch_termination();
// Whether it came.
bool termination_caught();
// Ends the process as if SIGTERM had not been caught.
void die_of_termination();

// Ends the process with `code` in so many seconds, whatever its threads are stuck in.
void end_in(unsigned seconds, int code);

}  // namespace fathom::comm
