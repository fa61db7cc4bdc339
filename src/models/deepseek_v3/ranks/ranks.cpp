#include "models/deepseek_v3/ranks/ranks.h"

namespace fathom::models::deepseek_v3 {

Result<Ranks> Ranks::join(comm::Group& world, const ParallelLayout& layout) {
  Ranks ranks;
  if (layout.ranks() == 1) return ranks;
  ranks.world = &world;
  const RankPlace place = place_of(layout, world.rank());
  const auto tokens_here = static_cast<int>(place.stage * layout.dp + place.data);
  const auto columns_here = static_cast<int>(place.stage * layout.tp + place.tensor);
  const auto place_here = static_cast<int>(place.data * layout.tp + place.tensor);
  if (layout.tp > 1) {
    FATHOM_ASSIGN(ranks.tensor, world.split({-1, "tensor_group", {}}, tokens_here,
                                            static_cast<int>(place.tensor)));
  }
  if (layout.dp > 1) {
    FATHOM_ASSIGN(ranks.data,
                  world.split({-1, "data_group", {}}, columns_here, static_cast<int>(place.data)));
  }
  if (layout.pp > 1) {
    FATHOM_ASSIGN(ranks.pipeline, world.split({-1, "pipeline_group", {}}, place_here,
                                              static_cast<int>(place.stage)));
  }
  return ranks;
}

}  // namespace fathom::models::deepseek_v3
