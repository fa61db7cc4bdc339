// How this process was started: alone, or as a rank by mpirun, Slurm or a Kubernetes MPI job.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

namespace fathom::comm {

struct Launch {
  int rank = 0;
  int size = 1;
  int local_size = 0;   // ranks on this host; 0: not known
  int local_rank = -1;  // which of them; -1: not known
  // What all processes of the job have in their environment, "PMIX_NAMESPACE=..."; "": not known.
  std::string job;
  std::string rank_variable;  // the one with the rank: "OMPI_COMM_WORLD_RANK"
};

using Environment = std::function<const char*(const char* name)>;

// Reads, in this order: OMPI_COMM_WORLD_SIZE and _RANK (mpirun of Open MPI); PMIX_RANK with
// SLURM_STEP_NUM_TASKS (srun --mpi=pmix); PMI_SIZE and PMI_RANK (other launchers). Slurm's own
// variables alone do not count: a batch script has them too. A job of one rank is alone.
Result<Launch> read_launch(const Environment& environment);

}  // namespace fathom::comm
