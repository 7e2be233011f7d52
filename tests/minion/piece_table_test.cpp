#include "minion/piece_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace libsync {
namespace {

using enum PieceState;
using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<PieceState> kAll = {unknown, candidate, checking,  adopting, wanted,   in_flight,
                                      judging, verified,  comparing, placing,  in_place, adopted};

// The allowed transitions, independent of the list in the code.
const std::set<std::pair<PieceState, PieceState>> kAllowed = {
    {unknown, candidate},  {unknown, wanted},     {candidate, checking}, {candidate, adopting},
    {candidate, wanted},   {checking, verified},  {checking, candidate}, {adopting, adopted},
    {adopting, candidate}, {adopting, wanted},    {adopted, candidate},  {wanted, in_flight},
    {in_flight, wanted},   {in_flight, judging},  {judging, in_flight},  {judging, verified},
    {verified, comparing}, {verified, placing},   {verified, wanted},    {verified, candidate},
    {comparing, in_place}, {comparing, verified}, {comparing, adopting}, {placing, in_place},
    {placing, adopting},   {placing, wanted},     {placing, candidate},  {in_place, verified},
    {in_place, adopted},
};

const std::set<PieceState> kServable = {verified, comparing, placing, in_place};
const std::set<PieceState> kInPlace = {in_place, adopted};

StagedPiece staged(PieceNumber piece) { return {piece, digest_of(std::to_string(piece))}; }

// Every set and count of the table agrees with the states of its pieces.
void expect_consistent(const PieceTable& table) {
  PieceSet servable(table.size());
  PieceSet in_place(table.size());
  PieceSet unwanted(table.size());
  PieceNumber verified = 0;
  PieceNumber candidates = 0;
  for (PieceNumber piece = 0; piece < table.size(); ++piece) {
    const auto state = table.state(piece);
    if (kServable.contains(state)) servable.insert(piece);
    if (kInPlace.contains(state)) in_place.insert(piece);
    if (state != wanted) unwanted.insert(piece);
    if (kServable.contains(state) || kInPlace.contains(state)) ++verified;
    if (state == candidate) ++candidates;
  }
  EXPECT_EQ(table.servable(), servable);
  EXPECT_EQ(table.in_place(), in_place);
  EXPECT_EQ(table.unwanted(), unwanted);
  EXPECT_EQ(table.verified(), verified);
  EXPECT_EQ(table.wanted(), table.size() - unwanted.size());
  EXPECT_EQ(table.candidates(), candidates);
}

TEST(PieceTable, EveryTransitionThatIsListedIsAcceptedAndCounted) {
  for (const auto& [from, to] : kAllowed) {
    SCOPED_TRACE(std::string(name_of(from)) + " to " + std::string(name_of(to)));
    PieceTable table(3, from);
    expect_consistent(table);
    ASSERT_NO_THROW(table.move(1, to));
    EXPECT_EQ(table.state(0), from);
    EXPECT_EQ(table.state(1), to);
    EXPECT_EQ(table.state(2), from);
    expect_consistent(table);
  }
}

TEST(PieceTable, EveryOtherTransitionIsRefusedAndChangesNothing) {
  for (const auto from : kAll) {
    for (const auto to : kAll) {
      if (kAllowed.contains({from, to})) continue;
      SCOPED_TRACE(std::string(name_of(from)) + " to " + std::string(name_of(to)));
      PieceTable table(3, from);
      EXPECT_THROW(table.move(1, to), std::logic_error);
      EXPECT_EQ(table.in(from), (std::vector<PieceNumber>{0, 1, 2}));
      expect_consistent(table);
    }
  }
}

TEST(PieceTable, CountsHoldOverAnyNumberOfMoves) {
  std::mt19937 random(7);
  PieceTable table(20, unknown);
  for (int step = 0; step < 2'000; ++step) {
    const auto piece = std::uniform_int_distribution<PieceNumber>(0, 19)(random);
    std::vector<PieceState> targets;
    for (const auto& [from, to] : kAllowed) {
      if (from == table.state(piece)) targets.push_back(to);
    }
    ASSERT_THAT(targets, testing::Not(IsEmpty())) << "no state is final";
    table.move(piece,
               targets[std::uniform_int_distribution<std::size_t>(0, targets.size() - 1)(random)]);
    expect_consistent(table);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(PieceTable, APieceThatTheRunDoesNotHaveIsRefused) {
  PieceTable table(3);
  EXPECT_THROW(table.move(3, in_flight), std::out_of_range);
  EXPECT_THROW(static_cast<void>(table.state(3)), std::out_of_range);
  expect_consistent(table);
}

TEST(PieceTable, AllPiecesBeginInOneState) {
  EXPECT_EQ(PieceTable(4).wanted(), 4U) << "unless another state is named";
  EXPECT_THAT(PieceTable(2, unknown).in(unknown), ElementsAre(0, 1));
  EXPECT_EQ(PieceTable(4, verified).verified(), 4U);
}

TEST(PieceTable, ADigestIsKnownOnceItIsAnnounced) {
  PieceTable table(3);
  EXPECT_FALSE(table.digest(1));
  table.announce(staged(1));
  EXPECT_EQ(table.digest(1), staged(1).digest);
  EXPECT_FALSE(table.digest(0)) << "only that one";
  EXPECT_FALSE(table.digest(2));
  EXPECT_THAT(table.announced().members(), ElementsAre(1));

  table.announce({1, staged(2).digest});
  EXPECT_EQ(table.digest(1), staged(2).digest) << "the last announcement counts";
  table.announce(staged(3));
  EXPECT_THAT(table.announced().members(), ElementsAre(1)) << "the run has no such piece";
  expect_consistent(table);
}

TEST(PieceTable, OnlyCandidatesWaitForTheirDigests) {
  PieceTable table(4, candidate);
  table.move(0, wanted);
  EXPECT_THAT(table.without_digest(), ElementsAre(1, 2, 3));
  table.announce(staged(2));
  EXPECT_THAT(table.without_digest(), ElementsAre(1, 3));
  for (const PieceNumber piece : {1U, 3U}) table.move(piece, wanted);
  EXPECT_THAT(table.without_digest(), IsEmpty());
}

TEST(PieceTable, EveryStateHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const auto state : kAll) names.insert(name_of(state));
  EXPECT_EQ(names.size(), kAll.size());
  EXPECT_EQ(name_of(unknown), "unknown");
  EXPECT_EQ(name_of(in_flight), "in flight");
  EXPECT_EQ(name_of(adopted), "adopted");
  try {
    PieceTable(9).move(5, adopted);
    FAIL() << "the table moved the piece";
  } catch (const std::logic_error& error) {
    EXPECT_STREQ(error.what(), "piece 5 cannot go from 'wanted' to 'adopted'");
  }
}

}  // namespace
}  // namespace libsync
