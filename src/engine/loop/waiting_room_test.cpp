#include "engine/loop/waiting_room.h"

#include <gtest/gtest.h>

namespace fathom::engine {
namespace {

int64_t fill(WaitingRoom& room, uint64_t owner, uint64_t request, int64_t most) {
  int64_t entered = 0;
  for (; entered < most && room.has_room(owner, request); ++entered) room.enter(owner, request);
  return entered;
}

TEST(WaitingRoom, ARequestLeavesHalfOfWhatItFound) {
  WaitingRoom room(2048);
  EXPECT_EQ(fill(room, 0, 1, 5000), 1024);
  EXPECT_EQ(fill(room, 0, 2, 5000), 512);
  EXPECT_EQ(fill(room, 0, 3, 5000), 256);
  EXPECT_EQ(fill(room, 0, 4, 1), 1);
  room.leave(0, 2);
  EXPECT_FALSE(room.has_room(0, 3));  // 256 wait and 256 are free
  room.leave(0, 2);
  EXPECT_TRUE(room.has_room(0, 3));
}

TEST(WaitingRoom, ManyAtOnceHaveRoomWhereTheyWouldOneAfterTheOther) {
  WaitingRoom room(2048);
  EXPECT_TRUE(room.has_room(0, 0, 1024));
  EXPECT_FALSE(room.has_room(0, 0, 1025));
  fill(room, 0, 1, 1024);
  EXPECT_TRUE(room.has_room(0, 0, 512));
  EXPECT_FALSE(room.has_room(0, 0, 513));
  EXPECT_FALSE(room.has_room(0, 1, 1));
}

TEST(WaitingRoom, ManyOfOnePartTakeAllPlaces) {
  WaitingRoom room(3);
  for (uint64_t request = 1; request <= 3; ++request) {
    EXPECT_EQ(fill(room, 0, request, 1), 1);
  }
  EXPECT_FALSE(room.has_room(0, 4));
  EXPECT_EQ(room.waiting(0), 3);
  room.leave(0, 2);
  EXPECT_TRUE(room.has_room(0, 4));
  EXPECT_FALSE(room.has_room(0, 1));
}

TEST(WaitingRoom, OwnersHavePlacesOfTheirOwn) {
  WaitingRoom room(2);
  EXPECT_EQ(fill(room, 7, 1, 1) + fill(room, 7, 2, 1), 2);
  EXPECT_FALSE(room.has_room(7, 3));
  EXPECT_TRUE(room.has_room(8, 3));
  EXPECT_EQ(room.waiting(8), 0);
}

}  // namespace
}  // namespace fathom::engine
