// The master's records of a run, and their state after each failing call of the disk.

#include "master/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "master_world.h"
#include "os/files.h"
#include "os/random.h"

namespace libsync::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

/// A world with a payload, and no prepared run.
class RecordsWorld : public MasterWorld {
 public:
  [[nodiscard]] TaskPath test_task() const {
    return std::get<TaskPath>(TaskPath::parse(task().string()));
  }
  [[nodiscard]] Original found() const { return std::get<Original>(records().find(test_task())); }
  [[nodiscard]] MasterRecords records() const {
    return {*state, config.host.repo, config.host.prefix, config.source_roots};
  }
  [[nodiscard]] RunTerms terms() const { return terms_of(config, kMasterHost, state->master_id()); }
  [[nodiscard]] NewRun make() const {
    return std::get<NewRun>(make_run(
        found(), terms(), [this](const Fingerprint& of) { return records().piece_bytes_of(of); }));
  }

  /// A run whose spool has everything but pieces.
  NewRun prepare(Standing standing = Standing::running) {
    auto run = make();
    records().prepare(run, found().payload.stamps);
    run.record.standing = standing;
    records().write(run.record);
    return run;
  }

  /// Changes a file of the payload and sets its time back, so that the fingerprint stays the same.
  void change_unseen() const {
    const auto time = std::filesystem::last_write_time(task() / "a");
    write_file(task() / "a", random_bytes(1700, 8));
    std::filesystem::last_write_time(task() / "a", time);
  }

  [[nodiscard]] Watch watch_of(const NewRun& run) {
    static_cast<void>(shared.begin(run.info, 1, {1, {}}, TaskKey::leave, Spread::claims));
    return shared.watch();
  }

  void expect_described(const NewRun& run) {
    const auto described = records().describe(run.record, terms().origin);
    ASSERT_TRUE(described);
    EXPECT_EQ(described->id, run.info.id);
    EXPECT_EQ(described->state, RunState::staging);
    EXPECT_EQ(described->task, run.info.task);
    EXPECT_EQ(described->fingerprint, run.info.fingerprint);
    EXPECT_EQ(described->cut, run.info.cut);
    EXPECT_EQ(described->manifest, run.info.manifest);
    EXPECT_EQ(described->manifest_bytes, run.info.manifest_bytes);
    EXPECT_EQ(described->origin, run.info.origin);
    EXPECT_EQ(described->origin_kind, run.info.origin_kind);
    EXPECT_EQ(described->master, run.info.master);
  }
};

class RecordsTest : public testing::Test, protected RecordsWorld {};

// --- Finding a task ---

TEST_F(RecordsTest, FindsThePayloadOfATask) {
  const auto original = found();
  EXPECT_EQ(original.task, test_task());
  EXPECT_EQ(original.payload.manifest.bytes(), 2600U);
  EXPECT_THAT(original.payload.stamps, SizeIs(original.payload.manifest.entries().size()));
}

TEST_F(RecordsTest, RefusesAMissingPathAndOneBelowNoRoot) {
  for (const auto& bad : {task() / "nothing", repo() / "x"}) {
    const auto path = std::get<TaskPath>(TaskPath::parse(bad.string()));
    EXPECT_TRUE(std::holds_alternative<Refusal>(records().find(path))) << bad;
    EXPECT_TRUE(std::holds_alternative<Refusal>(records().find_if_reachable(path))) << bad;
  }
}

TEST_F(RecordsTest, AnUnmountedRootIsAFailureAndNoRefusal) {
  config.source_roots = {folder.path() / "absent"};
  const auto path = std::get<TaskPath>(TaskPath::parse((folder.path() / "absent/x").string()));
  EXPECT_THROW(static_cast<void>(records().find(path)), Failure);
  EXPECT_TRUE(std::holds_alternative<Failure>(records().find_if_reachable(path)));
}

// --- prepare and describe ---

TEST_F(RecordsTest, APreparedRunIsDescribedAsItWasMade) {
  const auto run = prepare();
  expect_described(run);
  const auto spool = records().spool_of(run.info.id);
  ASSERT_TRUE(spool);
  EXPECT_EQ(content_of(spool->manifest_path()), run.manifest);
  EXPECT_EQ(digest_of(run.manifest), run.info.manifest);
}

TEST_F(RecordsTest, ARunIsPreparedBeforeItIsBegun) {
  auto run = make();
  records().prepare(run, found().payload.stamps);
  const auto spools = state->spools_of(Role::master, config.host.prefix);
  ASSERT_THAT(spools, SizeIs(1));
  EXPECT_EQ(spools.front().second.standing, Standing::prepared);
  EXPECT_EQ(spools.front().second.task, test_task());
  EXPECT_EQ(spools.front().second.expected_count, 1U);
}

TEST_F(RecordsTest, DigestsStayWhileThePayloadIsUnchanged) {
  const auto run = prepare();
  const auto digests = records().spool_of(run.info.id)->digests_path();
  write_file(digests, "0 " + digest_of("x").hex() + "\n");
  const auto again = prepare();
  EXPECT_TRUE(std::filesystem::exists(digests));
  EXPECT_EQ(again.info.fingerprint, run.info.fingerprint);
  change_unseen();
  EXPECT_EQ(prepare().info.fingerprint, run.info.fingerprint);
  EXPECT_FALSE(std::filesystem::exists(digests));
}

TEST_F(RecordsTest, DescribesNothingOfADamagedSpool) {
  const auto run = prepare();
  const auto manifest = records().spool_of(run.info.id)->manifest_path();
  auto of_no_size = run.record;
  of_no_size.piece_bytes = 0;
  EXPECT_FALSE(records().describe(of_no_size, terms().origin));
  auto of_another_cut = run.record;
  of_another_cut.piece_bytes = 999;
  EXPECT_FALSE(records().describe(of_another_cut, terms().origin));
  // A manifest that decodes, but not the one of this spool.
  auto entries = found().payload.manifest.entries();
  entries.back().mode ^= 1U;
  write_file(manifest, Manifest(entries).encode());
  EXPECT_FALSE(records().describe(run.record, terms().origin));
  write_file(manifest, "rot");
  EXPECT_FALSE(records().describe(run.record, terms().origin));
  std::filesystem::remove(manifest);
  EXPECT_FALSE(records().describe(run.record, terms().origin));
  write_file(manifest, run.manifest);
  expect_described(run);
}

TEST_F(RecordsTest, RefusesToPrepareARunWithoutSpaceOnTheDisk) {
  auto run = make();
  const auto bytes = free_bytes(repo()) + (std::uint64_t{1} << 40U);
  run.info.cut = {bytes, bytes};
  if (can_share_blocks(repo())) {
    EXPECT_NO_THROW(records().prepare(run, found().payload.stamps));
  } else {
    EXPECT_THROW(records().prepare(run, found().payload.stamps), Failure);
    EXPECT_THAT(RecordsWorld::MasterWorld::records(), IsEmpty());
  }
}

TEST_F(RecordsTest, AnyPieceSizeCuts) {
  // The number of the most pieces times each of these is zero, or less than the payload.
  for (const unsigned bits : {52U, 60U, 63U}) {
    config.piece_size = {PieceSize::Kind::fixed, std::uint64_t{1} << bits};
    EXPECT_EQ(make().info.cut.pieces(), 1U) << bits;
  }
  config.piece_size = {PieceSize::Kind::fixed, ~std::uint64_t{0}};
  EXPECT_EQ(make().info.cut.pieces(), 1U);
}

TEST_F(RecordsTest, TheSameContentIsCutAsBefore) {
  config.piece_size = {PieceSize::Kind::fixed, 777};
  const auto run = prepare();
  config.piece_size = {PieceSize::Kind::automatic, 0};
  EXPECT_EQ(make().info.cut.piece_bytes, 777U);
  records().drop(run.info.id);
  EXPECT_NE(make().info.cut.piece_bytes, 777U);
}

// --- Our run ---

TEST_F(RecordsTest, OurRunIsTheOneInProgressOrElseTheOneThatHasNotEnded) {
  EXPECT_FALSE(records().own_run({}));
  for (const auto standing : {Standing::prepared, Standing::ended, Standing::ended_short}) {
    const auto run = prepare(standing);
    EXPECT_FALSE(records().own_run({}));
    const auto own = records().own_run(watch_of(run));
    ASSERT_TRUE(own);
    EXPECT_EQ(own->run, run.info.id) << "Redis has begun it";
    static_cast<void>(shared.end(run.info.id, "complete", "", TaskAfter::goes));
  }
  const auto run = prepare(Standing::running);
  const auto own = records().own_run({});
  ASSERT_TRUE(own);
  EXPECT_EQ(own->run, run.info.id);
}

TEST_F(RecordsTest, ASpoolOfAnotherFleetIsNotOurs) {
  static_cast<void>(prepare());
  config.host.prefix = "blue:";
  EXPECT_FALSE(records().own_run({}));
}

TEST_F(RecordsTest, LacksPiecesUntilEachHasItsSize) {
  const auto run = prepare();
  const CutPayload cut(task(), kMasterPieceBytes);
  const auto spool = records().spool_of(run.info.id).value();
  for (PieceNumber piece = 0; piece < cut.pieces(); ++piece) {
    EXPECT_TRUE(records().lacks_pieces(run.record));
    write_file(spool.piece_path(piece), cut.piece(piece));
  }
  EXPECT_FALSE(records().lacks_pieces(run.record));
  write_file(spool.piece_path(2), cut.piece(2) + "x");
  EXPECT_TRUE(records().lacks_pieces(run.record));
}

TEST_F(RecordsTest, RefusesMoreBytesThanMinionsAccept) {
  auto original = found();
  auto entries = original.payload.manifest.entries();
  const auto is_refused = [&] {
    original.payload.manifest = Manifest(entries);
    const auto run = make_run(original, terms(), [](const Fingerprint&) { return std::nullopt; });
    return std::holds_alternative<Refusal>(run);
  };
  EXPECT_FALSE(is_refused());
  auto& file = *std::find_if(entries.begin(), entries.end(), has_data);
  file.size = kMaxFileBytes + 1;
  file.holes = {{0, file.size}};
  EXPECT_TRUE(is_refused());
}

// --- The original ---

TEST_F(RecordsTest, FindsTheOriginalOnlyWhileItIsUnchanged) {
  const auto run = prepare();
  EXPECT_TRUE(records().unchanged_original(run.record, Needed::yes));
  EXPECT_FALSE(records().has_other_contents(run.record));
  write_file(task() / "a", content_of(task() / "a"));
  EXPECT_FALSE(records().unchanged_original(run.record, Needed::yes)) << "its times are others";
  write_file(task() / "a", random_bytes(1701, 3));
  EXPECT_TRUE(records().has_other_contents(run.record));
}

// Reading a preallocated block ends its hole, and changes no time.
TEST_F(RecordsTest, TheOriginalKeepsTheHolesOnRecord) {
  std::filesystem::resize_file(task() / "a", std::uintmax_t{1} << 20U);
  const auto run = prepare();
  auto entries = found().payload.manifest.entries();
  std::size_t holes = 0;
  for (auto& entry : entries) holes += std::exchange(entry.holes, {}).size();
  ASSERT_GT(holes, 0U) << "the file system has no holes";
  const Manifest of_former_tick(std::move(entries));
  const auto spool = records().spool_of(run.info.id).value();
  write_file(spool.manifest_path(), of_former_tick.encode());
  const auto original = records().unchanged_original(run.record, Needed::yes).value();
  EXPECT_EQ(original.payload.manifest.encode(), of_former_tick.encode());
  std::filesystem::remove(spool.manifest_path());
  EXPECT_FALSE(records().unchanged_original(run.record, Needed::yes));
}

TEST_F(RecordsTest, AMissingOriginalHasNoOtherContents) {
  const auto run = prepare();
  std::filesystem::remove_all(task());
  EXPECT_FALSE(records().has_other_contents(run.record));
  EXPECT_FALSE(records().unchanged_original(run.record, Needed::yes));
  std::filesystem::remove_all(folder.path() / "data");
  EXPECT_FALSE(records().has_other_contents(run.record));
  EXPECT_FALSE(records().unchanged_original(run.record, Needed::no));
  EXPECT_THROW(static_cast<void>(records().unchanged_original(run.record, Needed::yes)), Failure)
      << "its root may not be mounted yet";
}

// A payload of a million files needs seconds, and no half of a listing may decide anything.
TEST_F(RecordsTest, ListsNothingOnceItHasToStop) {
  const auto run = prepare();
  std::stop_source source;
  const MasterRecords stoppable{*state, config.host.repo, config.host.prefix, config.source_roots,
                                source.get_token()};
  EXPECT_TRUE(stoppable.unchanged_original(run.record, Needed::yes));
  source.request_stop();
  EXPECT_THROW(static_cast<void>(stoppable.find(test_task())), Stopped);
  EXPECT_THROW(static_cast<void>(stoppable.find_if_reachable(test_task())), Stopped);
  EXPECT_THROW(static_cast<void>(stoppable.unchanged_original(run.record, Needed::no)), Stopped);
  EXPECT_THROW(static_cast<void>(stoppable.has_other_contents(run.record)), Stopped);
}

// --- Dropping ---

TEST_F(RecordsTest, DropsTheSpoolsThatTheCallerNames) {
  const auto first = prepare(Standing::ended);
  write_file(task() / "c", "more");
  const auto second = prepare(Standing::ended_short);
  write_file(task() / "d", "still more");
  const auto third = prepare(Standing::running);
  ASSERT_TRUE(records().spool_of(first.info.id));
  records().drop_ended();
  EXPECT_FALSE(records().spool_of(first.info.id));
  EXPECT_TRUE(records().spool_of(second.info.id));
  EXPECT_TRUE(records().spool_of(third.info.id));
  const auto now = std::chrono::system_clock::now();
  EXPECT_THAT(records().drop_all_but(third.info.fingerprint, now), IsEmpty());
  EXPECT_FALSE(records().spool_of(second.info.id));
  EXPECT_TRUE(records().spool_of(third.info.id));
  records().drop(third.info.id);
  EXPECT_FALSE(records().spool_of(third.info.id));
}

TEST_F(RecordsTest, ASpoolThatItCannotUseIsNamedAndGoes) {
  const auto newer = prepare();
  const auto spool = state->spool(newer.info.fingerprint);
  const auto path = spool.folder() / "owner-master";
  write_file(path, "colour blue\n" + content_of(path));
  write_file(task() / "c", "more");
  const auto former = prepare();
  auto record = former.record;
  record.prefix = "before:";
  state->spool(former.info.fingerprint).assign(record);
  const auto ours = random_name<Fingerprint>();
  const auto now = std::chrono::system_clock::now();
  EXPECT_THAT(records().drop_all_but(ours, now),
              testing::UnorderedElementsAre(
                  testing::HasSubstr("has a run record of another version: deleting it"),
                  testing::HasSubstr("with the prefix 'before:': it stays for a week")));
  EXPECT_FALSE(std::filesystem::exists(spool.folder()));
  EXPECT_TRUE(std::filesystem::exists(state->spool(former.info.fingerprint).folder()));
  EXPECT_THAT(records().drop_all_but(ours, now + kStrayKept + std::chrono::hours(1)),
              testing::ElementsAre(testing::HasSubstr("'before:': deleting it")));
  EXPECT_FALSE(std::filesystem::exists(state->spool(former.info.fingerprint).folder()));
}

// --- Failures ---

/// An act on the disk, and the check of its effect.
struct Act {
  std::string name;
  std::function<void(RecordsWorld&)> make_ready;
  std::function<void(RecordsWorld&)> act;
  std::function<void(RecordsWorld&)> check;
  std::size_t least;
};

void PrintTo(const Act& act, std::ostream* out) { *out << act.name; }

class RecordsFailures : public testing::TestWithParam<Act> {};

// Each call of the disk fails once, in a world of its own. The test then repeats the act.
TEST_P(RecordsFailures, OfAnyCallLetTheSameActSucceedLater) {
  const auto& row = GetParam();
  std::size_t failures = 0;
  for (std::size_t nth = 1;; ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth));
    RecordsWorld world;
    row.make_ready(world);
    bool has_failed = false;
    {
      const FailingDisk disk(nth);
      try {
        row.act(world);
      } catch (const Failure& failure) {
        EXPECT_EQ(failure.status(), ExitStatus::local);
      }
      has_failed = disk.has_failed();
    }
    // Each record that is left can be read, and is of this task.
    for (const auto& record : world.MasterWorld::records()) {
      EXPECT_EQ(record.task, world.test_task());
    }
    row.act(world);
    row.check(world);
    if (!has_failed || HasFailure()) break;
    ++failures;
  }
  EXPECT_GE(failures, row.least);
}

INSTANTIATE_TEST_SUITE_P(
    , RecordsFailures,
    testing::Values(
        Act{"Prepare", [](RecordsWorld&) {},
            [](RecordsWorld& world) {
              world.records().prepare(world.make(), world.found().payload.stamps);
            },
            [](RecordsWorld& world) {
              ASSERT_EQ(world.MasterWorld::records().size(), 1U);
              const auto record = world.MasterWorld::records().front();
              EXPECT_EQ(record.standing, Standing::prepared);
              EXPECT_TRUE(world.records().describe(record, world.terms().origin));
              EXPECT_TRUE(world.records().unchanged_original(record, Needed::yes));
            },
            15},
        Act{"PrepareOverAnotherOriginal",
            [](RecordsWorld& world) {
              const auto run = world.prepare(Standing::ended_short);
              write_file(world.records().spool_of(run.info.id)->digests_path(), "0 old\n");
              world.change_unseen();
            },
            [](RecordsWorld& world) {
              world.records().prepare(world.make(), world.found().payload.stamps);
            },
            [](RecordsWorld& world) {
              const auto spools = world.state->spools_of(Role::master, "");
              ASSERT_EQ(spools.size(), 1U);
              EXPECT_EQ(spools.front().second.standing, Standing::prepared);
              EXPECT_TRUE(world.records().unchanged_original(spools.front().second, Needed::yes));
              EXPECT_FALSE(std::filesystem::exists(spools.front().first.digests_path()));
            },
            15},
        Act{"Write", [](RecordsWorld& world) { static_cast<void>(world.prepare()); },
            [](RecordsWorld& world) {
              auto record = world.MasterWorld::records().at(0);
              record.standing = Standing::ended;
              world.records().write(record);
            },
            [](RecordsWorld& world) {
              EXPECT_EQ(world.MasterWorld::records().at(0).standing, Standing::ended);
            },
            6},
        Act{"Drop", [](RecordsWorld& world) { static_cast<void>(world.prepare(Standing::ended)); },
            [](RecordsWorld& world) { world.records().drop_ended(); },
            [](RecordsWorld& world) {
              EXPECT_TRUE(world.MasterWorld::records().empty());
              EXPECT_LE(world.state->discarded(Role::master).size(), 1U) << "a Sweeper's work";
            },
            2}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace libsync::test
