#include "comm/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace fathom::comm {
namespace {

Result<Launch> read(const std::map<std::string, std::string>& variables) {
  return read_launch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(Launch, KnowsItsLaunchers) {
  const auto mpirun = read({{"OMPI_COMM_WORLD_SIZE", "8"},
                            {"OMPI_COMM_WORLD_RANK", "3"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                            {"PMIX_NAMESPACE", "77"}});
  ASSERT_TRUE(mpirun);
  EXPECT_EQ(mpirun->size, 8);
  EXPECT_EQ(mpirun->rank, 3);
  EXPECT_EQ(mpirun->local_size, 4);
  EXPECT_EQ(mpirun->local_rank, 2);
  EXPECT_EQ(mpirun->job, "PMIX_NAMESPACE=77");
  EXPECT_EQ(mpirun->rank_variable, "OMPI_COMM_WORLD_RANK");

  const auto slurm = read({{"PMIX_RANK", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}});
  ASSERT_TRUE(slurm);
  EXPECT_EQ(slurm->size, 2);
  EXPECT_EQ(slurm->rank, 1);
  EXPECT_EQ(slurm->local_size, 0);
  EXPECT_EQ(slurm->local_rank, -1);

  const auto hydra = read({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}});
  ASSERT_TRUE(hydra);
  EXPECT_EQ(hydra->size, 2);
}

TEST(Launch, IsAloneWithoutOne) {
  // A batch script of Slurm has these without srun.
  const auto alone = read({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}});
  ASSERT_TRUE(alone);
  EXPECT_EQ(alone->size, 1);
}

TEST(Launch, RefusesWhatContradictsItself) {
  for (const char* rank : {"2", "-1", "1x", ""}) {
    const auto launch = read({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", rank}});
    ASSERT_FALSE(launch) << rank;
    EXPECT_THAT(launch.error().message,
                testing::HasSubstr("OMPI_COMM_WORLD_RANK: expected a number from 0 to 1, got"));
  }
  const auto missing = read({{"PMIX_RANK", "0"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "SLURM_STEP_NUM_TASKS: expected a number, got none");
}

}  // namespace
}  // namespace fathom::comm
