// The promises of master_coordinator.h and observer.h, for the fake and for Redis.

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using namespace std::chrono_literals;

class MasterContract : public Contract {};

INSTANTIATE_TEST_SUITE_P(Of, MasterContract, all_backends(), name_of_backend);

// --- load_functions and discover ---

TEST_P(MasterContract, ATaskLosesOneTrailingSlash) {
  master().load_functions();
  backend_->set_task("/data/model.1/");
  const auto found = master().discover();
  EXPECT_EQ(found.task, "/data/model.1");
  EXPECT_TRUE(found.has_slash);
  EXPECT_EQ(master().watch().task, "/data/model.1");
  EXPECT_TRUE(master().refuse("/data/model.1", "why"));
  EXPECT_EQ(master().watch().task, std::nullopt);
}

TEST_P(MasterContract, AnEmptyTaskIsATask) {
  master().load_functions();
  backend_->set_task("");
  EXPECT_EQ(master().discover().task, "");
  EXPECT_EQ(master().watch().task, "");
  EXPECT_TRUE(master().refuse("", "why"));
  EXPECT_EQ(master().watch().task, std::nullopt);
}

TEST_P(MasterContract, LoadsMissingFunctions) {
  EXPECT_TRUE(std::holds_alternative<NoLibrary>(join(host(2))));
  master().load_functions();
  EXPECT_TRUE(std::holds_alternative<NoRun>(join(host(2))));
  backend_->remove_functions();
  EXPECT_TRUE(std::holds_alternative<NoLibrary>(join(host(2))));
  master().load_functions();
  EXPECT_TRUE(std::holds_alternative<NoRun>(join(host(2))));
}

TEST_P(MasterContract, ReplacesFunctionsOfAnotherVersion) {
  backend_->spoil_functions();
  master().load_functions();
  EXPECT_TRUE(std::holds_alternative<NoRun>(join(host(2))));
}

TEST_P(MasterContract, AVerbLoadsTheFunctionsThatItMisses) {
  const auto info = begin();
  backend_->remove_functions();
  stage(info, {0});
  EXPECT_EQ(joined(host(2)).run.id, info.id);
}

TEST_P(MasterContract, DiscoverReadsTheTaskAndCountsItsLookups) {
  EXPECT_EQ(master().discover().task, std::nullopt);
  EXPECT_EQ(backend_->lookups(), 0U);
  backend_->set_task("/data/../no task at all");
  EXPECT_EQ(master().discover().task, "/data/../no task at all");
  EXPECT_EQ(master().discover().finished, 0U);
  EXPECT_EQ(backend_->lookups(), 2U);
}

TEST_P(MasterContract, DiscoverCountsTheHostsThatHaveFinished) {
  backend_->set_task(std::string(kTask));
  const auto info = begin();
  stage_all(info);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  EXPECT_EQ(master().discover().finished, 1U);
}

// --- begin ---

TEST_P(MasterContract, BeginStoresTheRunForAllHosts) {
  const auto info = begin();
  const auto found = joined(host(2)).run;
  EXPECT_EQ(found.id, info.id);
  EXPECT_EQ(found.state, RunState::staging);
  EXPECT_EQ(found.task, info.task);
  EXPECT_EQ(found.fingerprint, info.fingerprint);
  EXPECT_EQ(found.cut, info.cut);
  EXPECT_EQ(found.manifest, info.manifest);
  EXPECT_EQ(found.manifest_bytes, info.manifest_bytes);
  EXPECT_EQ(found.origin, info.origin);
  EXPECT_EQ(found.origin_kind, info.origin_kind);
  EXPECT_EQ(found.master, info.master);
  EXPECT_FALSE(found.has_trees);
  EXPECT_GT(found.begun_ms, 0U);
  EXPECT_EQ(status().run.value().run.id, info.id);
}

TEST_P(MasterContract, BeginExpectsTheHostsThatAreNamed) {
  static_cast<void>(join(host(9)));
  const auto outcome =
      master().begin(run(), 2, {0, {"10.0.0.5", "10.0.0.6"}}, TaskKey::leave, Spread::claims);
  ASSERT_TRUE(std::holds_alternative<Begun>(outcome));
  EXPECT_THAT(std::get<Begun>(outcome).expected, ElementsAre("10.0.0.5", "10.0.0.6"));
  EXPECT_EQ(standing().expected, 2U);
  EXPECT_EQ(standing().known_at_begin, 2U);
  EXPECT_TRUE(status_of(host(5)).is_expected);
  EXPECT_FALSE(status_of(host(9)).is_expected);
}

TEST_P(MasterContract, BeginExpectsACount) {
  static_cast<void>(join(host(9)));
  const auto outcome = master().begin(run(), 2, {7, {}}, TaskKey::leave, Spread::claims);
  EXPECT_THAT(std::get<Begun>(outcome).expected, IsEmpty());
  EXPECT_EQ(standing().expected, 7U);
  EXPECT_EQ(standing().known_at_begin, 7U);
  EXPECT_EQ(status().run.value().expected, 7U);
}

TEST_P(MasterContract, BeginExpectsTheHostsSeenInTheLastTenMinutesIfNoneIsNamed) {
  master().load_functions();
  static_cast<void>(join(host(8)));
  backend_->advance(9min);
  static_cast<void>(join(host(9)));
  backend_->advance(2min);
  const auto outcome = master().begin(run(), 2, {}, TaskKey::leave, Spread::claims);
  EXPECT_THAT(std::get<Begun>(outcome).expected, ElementsAre("10.0.0.9"));
}

TEST_P(MasterContract, AHostThatJoinsIsExpectedFromThenOn) {
  const auto info = begin(2, {0, {"10.0.0.5"}});
  backend_->advance(3s);
  static_cast<void>(join(host(6)));
  EXPECT_EQ(standing().expected, 2U);
  EXPECT_EQ(standing().known_at_begin, 1U);
  EXPECT_EQ(standing().since_last_joined, 0s);
  backend_->advance(2s);
  static_cast<void>(join(host(6)));
  EXPECT_EQ(standing().since_last_joined, 2s) << "it is not new any more";
  EXPECT_EQ(standing().age, 5s);
}

TEST_P(MasterContract, BeginOfTheSameRunChangesNothing) {
  auto info = run();
  static_cast<void>(master().begin(info, 2, {0, {"10.0.0.5"}}, TaskKey::leave, Spread::claims));
  stage(info, {0, 1});
  backend_->advance(1s);
  const auto again = master().begin(info, 2, {0, {"10.0.0.6"}}, TaskKey::leave, Spread::claims);
  EXPECT_TRUE(std::holds_alternative<AlreadyBegun>(again));
  EXPECT_EQ(standing().age, 1s);
  EXPECT_EQ(standing().expected, 1U);
  EXPECT_EQ(status().run.value().announced, 2U);
}

TEST_P(MasterContract, BeginIsBusyWithAnotherRun) {
  const auto info = begin();
  const auto outcome =
      master().begin(run(OriginKind::master, kOtherTask), 2, {}, TaskKey::leave, Spread::claims);
  ASSERT_TRUE(std::holds_alternative<Busy>(outcome));
  EXPECT_EQ(std::get<Busy>(outcome).run, info.id);
  EXPECT_EQ(std::get<Busy>(outcome).task, info.task);
  EXPECT_EQ(standing().id, info.id);
}

TEST_P(MasterContract, BeginIsBusyWithTheSameRunFromElsewhereOrOfAnotherManifest) {
  const auto info = begin();
  auto moved = info;
  moved.origin = host(7);
  auto pushed = info;
  pushed.origin_kind = OriginKind::minion;
  auto changed = info;
  changed.manifest = digest_of("another manifest");
  for (const auto& other : {moved, pushed, changed}) {
    const auto outcome = master().begin(other, 2, {}, TaskKey::leave, Spread::claims);
    ASSERT_TRUE(std::holds_alternative<Busy>(outcome));
    EXPECT_EQ(std::get<Busy>(outcome).run, info.id);
  }
}

TEST_P(MasterContract, BeginWakesTheMinionsThatLinger) {
  master().load_functions();
  static_cast<void>(join(host(2)));
  EXPECT_TRUE(is_left_alone(host(2)));
  begin();
  EXPECT_TRUE(is_woken(host(2)));
}

TEST_P(MasterContract, BeginWritesTheTaskAgainOnlyIfAskedAndLost) {
  auto info = run();
  static_cast<void>(master().begin(info, 2, {}, TaskKey::leave, Spread::claims));
  EXPECT_EQ(backend_->task(), std::nullopt);
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::stays));
  static_cast<void>(master().begin(info, 2, {}, TaskKey::restore, Spread::claims));
  EXPECT_EQ(backend_->task(), info.task.text());
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::stays));
  backend_->set_task(std::string(kOtherTask));
  static_cast<void>(master().begin(info, 2, {}, TaskKey::restore, Spread::claims));
  EXPECT_EQ(backend_->task(), kOtherTask);
}

TEST_P(MasterContract, BeginMakesTreesIfAskedOrForManyHosts) {
  for (const auto& [spread, hosts, is_large, has_trees] :
       {std::tuple{Spread::trees, 2, false, true}, std::tuple{Spread::claims, 200, true, false},
        std::tuple{Spread::automatic, 2, true, false},
        std::tuple{Spread::automatic, 200, false, false},
        std::tuple{Spread::automatic, 200, true, true}}) {
    auto info = run();
    if (is_large) info.cut = {100'000, 100};
    static_cast<void>(
        master().begin(info, 2, {static_cast<std::size_t>(hosts), {}}, TaskKey::leave, spread));
    EXPECT_EQ(joined(host(2)).run.has_trees, has_trees) << hosts;
    static_cast<void>(master().end(info.id, "complete", "", TaskAfter::stays));
  }
}

// --- stage ---

TEST_P(MasterContract, StageAnnouncesPieces) {
  const auto info = begin();
  EXPECT_EQ(status().run.value().announced, 0U);
  EXPECT_EQ(status().run.value().free_sources, 0U);
  stage(info, {1, 3});
  stage(info, {1, 3});
  EXPECT_EQ(standing().state, RunState::staging);
  EXPECT_EQ(status().run.value().announced, 2U);
  EXPECT_EQ(status().run.value().free_sources, 1U) << "the origin serves them";
  stage(info, {0, 2}, RunState::staged);
  EXPECT_EQ(standing().state, RunState::staged);
  EXPECT_EQ(minion(host(2)).state_of(info.id), RunState::staged);
}

TEST_P(MasterContract, ARunThatLostPiecesIsNotStaged) {
  const auto info = begin();
  stage(info, {0, 3}, RunState::staged);
  EXPECT_EQ(standing().state, RunState::staging);
  stage_all(info);
  EXPECT_EQ(standing().state, RunState::staged);
}

TEST_P(MasterContract, PushedPiecesAreServedOnceTheirTargetReportsThem) {
  const auto info = begin(0, {}, Spread::claims, OriginKind::minion);
  stage(info, {0, 1});
  EXPECT_TRUE(is_woken(origin()));
  EXPECT_EQ(status().run.value().free_sources, 0U);
  static_cast<void>(report(info, origin(), pieces({0}), 1));
  EXPECT_EQ(named_by(granted(info, host(2), pieces({}), 4)), std::vector<PieceNumber>{0});
}

// --- watch ---

TEST_P(MasterContract, WatchChangesNothing) {
  backend_->set_task(std::string(kTask));
  const auto info = begin(2, {3, {}});
  stage_all(info);
  static_cast<void>(finish(info, host(2)));
  backend_->advance(5s);
  const auto before = standing();
  const auto after = standing();
  EXPECT_EQ(before.finished, after.finished);
  EXPECT_EQ(before.age, after.age);
  EXPECT_EQ(after.id, info.id);
  EXPECT_EQ(after.state, RunState::staged);
  EXPECT_EQ(after.task, info.task);
  EXPECT_EQ(after.master, info.master);
  EXPECT_EQ(after.finished, 1U);
  EXPECT_EQ(after.expected, 3U);
  EXPECT_EQ(after.age, 5s);
  EXPECT_EQ(after.overtaken_for, std::nullopt);
  EXPECT_EQ(after.waiting, std::nullopt);
  EXPECT_FALSE(after.origin_is_suspect);
  EXPECT_EQ(backend_->lookups(), 0U);
}

TEST_P(MasterContract, WatchFindsTheTaskWithoutARun) {
  EXPECT_EQ(master().watch().task, std::nullopt);
  backend_->set_task("any text");
  const auto watch = master().watch();
  EXPECT_EQ(watch.task, "any text");
  EXPECT_FALSE(watch.run);
}

// --- overtake ---

TEST_P(MasterContract, TheGraceCountsFromTheFirstOfTheTasksThatWait) {
  const auto info = begin();
  master().overtake(info.id, task_path(kOtherTask));
  backend_->advance(5s);
  master().overtake(info.id, task_path("/data/model.9"));
  backend_->advance(5s);
  EXPECT_EQ(standing().overtaken_for, 10s);
  EXPECT_EQ(standing().waiting, task_path("/data/model.9"));
  master().overtake(info.id, std::nullopt);
  EXPECT_EQ(standing().overtaken_for, std::nullopt);
  EXPECT_EQ(standing().waiting, std::nullopt);
  master().overtake(random_name<RunId>(), task_path(kOtherTask));
  EXPECT_EQ(standing().waiting, std::nullopt) << "that is another run";
}

// --- Observer ---

TEST_P(MasterContract, StatusChangesNothingAndNeedsNoFunctions) {
  backend_->set_task(std::string(kTask));
  const auto before = status();
  EXPECT_EQ(before.task, kTask);
  EXPECT_FALSE(before.run);
  EXPECT_FALSE(before.last);
  EXPECT_THAT(before.hosts, IsEmpty());
  EXPECT_TRUE(std::holds_alternative<NoLibrary>(join(host(2)))) << "it has loaded none";
}

TEST_P(MasterContract, StatusShowsFaultsAndThoseOfTheLastRun) {
  master().load_functions();
  const auto info = begin(2, {0, {"10.0.0.2", "10.0.0.3", "10.0.0.4"}});
  stage_all(info);
  static_cast<void>(joined(host(2)));
  static_cast<void>(joined(host(3)));
  minion(host(2)).report_fault(info.id, host(2), Fault::feed, "Unknown module");
  minion(host(3)).leave(info.id, host(3), Retreat::claims_only, "no space left");
  EXPECT_EQ(status_of(host(2)).feed_fault, "Unknown module");
  EXPECT_TRUE(status_of(host(2)).is_ticking);
  EXPECT_TRUE(status_of(host(2)).has_joined);
  EXPECT_TRUE(status_of(host(3)).has_joined);
  EXPECT_FALSE(status_of(host(3)).is_ticking);
  EXPECT_FALSE(status_of(host(4)).has_joined);
  static_cast<void>(report(info, host(2), pieces({0}), 1));
  EXPECT_EQ(status_of(host(2)).feed_fault, "") << "it serves";
  static_cast<void>(finish(info, host(2)));
  static_cast<void>(master().end(info.id, "quorum", "", TaskAfter::goes));
  minion(host(2)).report_fault(info.id, host(2), Fault::hook, "status 1");
  minion(host(2)).report_fault(info.id, host(2), Fault::feed, "too late");
  minion(host(2)).report_fault(random_name<RunId>(), host(2), Fault::hook, "another run");
  const auto last = status().last.value();
  ASSERT_EQ(last.hosts.size(), 3U);
  EXPECT_TRUE(last.hosts[0].has_finished);
  EXPECT_EQ(last.hosts[0].hook_fault, "status 1");
  EXPECT_FALSE(last.hosts[1].has_finished);
  EXPECT_EQ(last.hosts[1].error, "no space left");
  EXPECT_EQ(last.hosts[2].address, "10.0.0.4");
  EXPECT_EQ(last.hosts[2].error, "");
}

TEST_P(MasterContract, StatusAndPulseShowTheWorkOfAHostUntilItIsOver) {
  master().load_functions();
  const auto info = begin(2, {0, {"10.0.0.2", "10.0.0.3"}});
  stage_all(info);
  for (const auto number : {2U, 3U}) static_cast<void>(joined(host(number)));
  const std::string text = "assembling 4 of 10 files";
  minion(host(2)).show_work(random_name<RunId>(), host(2), text);
  EXPECT_EQ(status_of(host(2)).work, "") << "another run";
  backend_->advance(1min);
  minion(host(2)).show_work(info.id, host(2), text);
  EXPECT_EQ(status_of(host(2)).work, text);
  EXPECT_LT(status_of(host(2)).seen_ago, 30s) << "it is alive";
  EXPECT_EQ(status_of(host(3)).work, "");
  EXPECT_EQ(pulse().run.value().work, "10.0.0.2 " + text);
  minion(host(2)).show_work(info.id, host(2), "");
  EXPECT_EQ(status_of(host(2)).work, "");
  EXPECT_EQ(pulse().run.value().work, "");
}

TEST_P(MasterContract, StatusAndPulseShowTheWorkOfTheMasterUntilItIsOverOrOld) {
  master().load_functions();
  const std::string text = "listing the payload, 41,000 entries so far";
  master().show_work(text);
  EXPECT_EQ(status().work, text) << "without a run";
  EXPECT_EQ(pulse().work, text);
  EXPECT_FALSE(pulse().run);
  backend_->advance(31s);
  EXPECT_EQ(status().work, "") << "the master may have died";
  EXPECT_EQ(pulse().work, "");
  master().show_work(text);
  const auto info = begin(2, {0, {"10.0.0.2", "10.0.0.3"}});
  EXPECT_EQ(status().work, "") << "a run begins";
  master().show_work(text);
  EXPECT_EQ(status().work, text);
  EXPECT_EQ(pulse().run.value().work, "the master " + text);
  EXPECT_EQ(pulse().work, "");
  master().show_work("");
  EXPECT_EQ(status().work, "");
  EXPECT_EQ(pulse().run.value().work, "");
  master().show_work(std::string(200, 'x'));
  EXPECT_EQ(status().work, std::string(100, 'x'));
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::goes));
  EXPECT_EQ(status().work, "");
}

TEST_P(MasterContract, TheEndNamesTheHostsWhoseHookFailed) {
  master().load_functions();
  const auto info = begin(2, {0, {"10.0.0.2", "10.0.0.3"}});
  stage_all(info);
  for (const auto number : {2U, 3U}) {
    static_cast<void>(joined(host(number)));
    static_cast<void>(finish(info, host(number)));
  }
  minion(host(3)).report_fault(info.id, host(3), Fault::hook, "status 1");
  const auto ended = master().end(info.id, "complete", "", TaskAfter::goes);
  EXPECT_THAT(std::get<Ended>(ended).hook_failed, ElementsAre("10.0.0.3"));
}

TEST_P(MasterContract, StatusNamesTheHostsOfTheWeekThatAreSilent) {
  master().load_functions();
  static_cast<void>(join(host(9)));
  backend_->advance(11min);
  static_cast<void>(join(host(8)));
  EXPECT_THAT(status().silent, ElementsAre("10.0.0.9"));
}

TEST_P(MasterContract, ThePulseShowsTheRunAndThenItsEnd) {
  EXPECT_FALSE(pulse().run);
  EXPECT_FALSE(pulse().last);
  master().load_functions();
  static_cast<void>(join(host(2)));
  backend_->set_task(std::string(kTask));
  const auto info = begin(2, {0, {}});
  stage_all(info);
  auto run = pulse().run.value();
  EXPECT_EQ(pulse().task, kTask);
  EXPECT_EQ(run.id, info.id.text());
  EXPECT_EQ(run.path, kTask);
  EXPECT_EQ(run.expected, 1U);
  EXPECT_EQ(run.pieces, 4U);
  EXPECT_EQ(run.bytes, info.cut.stream_bytes);
  EXPECT_EQ(run.placed, 0U);
  EXPECT_FALSE(run.moves.moved_ago);
  EXPECT_EQ(run.moves.of_one_source, 4U);
  static_cast<void>(report(info, host(2), pieces({0, 1}), 1, Clearance::none));
  backend_->advance(3s);
  static_cast<void>(report(info, host(2), pieces({0, 1, 2}), 1, Clearance::none));
  run = pulse().run.value();
  EXPECT_EQ(run.placed, 3U);
  EXPECT_EQ(run.moves.placed_lately, 3U);
  EXPECT_EQ(run.moves.of_one_source, 1U);
  backend_->advance(9s);
  run = pulse().run.value();
  EXPECT_EQ(run.moves.placed_lately, 1U);
  EXPECT_EQ(run.moves.moved_ago, 9s);
  EXPECT_EQ(run.age, 12s);
  EXPECT_EQ(status().run.value().moves.moved_ago, 9s);
  static_cast<void>(finish(info, host(2)));
  EXPECT_EQ(pulse().run.value().finished, 1U);
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::goes));
  backend_->advance(2s);
  const auto after = pulse();
  EXPECT_EQ(after.task, "");
  EXPECT_FALSE(after.run);
  EXPECT_EQ(after.last.value().path, kTask);
  EXPECT_EQ(after.last->outcome, "complete");
  EXPECT_EQ(after.last->finished, 1U);
  EXPECT_EQ(after.last->ended_ago, 2s);
}

TEST_P(MasterContract, ARefusalLeavesTheOutcomeOfTheRunBeforeIt) {
  master().load_functions();
  const auto info = begin(2, {0, {"10.0.0.2"}});
  stage_all(info);
  static_cast<void>(master().end(info.id, "quorum", "", TaskAfter::goes));
  EXPECT_EQ(status().last.value().run_outcome, "quorum");
  backend_->set_task("/data/another");
  EXPECT_TRUE(master().refuse("/data/another", "it is a socket"));
  const auto last = status().last.value();
  EXPECT_EQ(last.outcome, "refused");
  EXPECT_EQ(last.run, info.id.text());
  EXPECT_EQ(last.run_outcome, "quorum");
  EXPECT_EQ(pulse().last.value().run, info.id.text());
}

TEST_P(MasterContract, StatusShowsEachHostOnce) {
  master().load_functions();
  static_cast<void>(join(host(9)));
  backend_->advance(2s);
  const auto info = begin(2, {0, {"10.0.0.5", "10.0.0.8"}});
  stage_all(info);
  static_cast<void>(granted(info, host(8), pieces({})));
  const auto hosts = status().hosts;
  std::vector<std::string> names;
  names.reserve(hosts.size());
  for (const auto& one : hosts) names.push_back(one.address);
  EXPECT_THAT(names, ElementsAre("10.0.0.1", "10.0.0.5", "10.0.0.8", "10.0.0.9"));
  EXPECT_EQ(status_of(origin()).uploads, 1U);
  EXPECT_EQ(status_of(host(8)).claims, 1U);
  EXPECT_TRUE(status_of(host(8)).is_running);
  EXPECT_EQ(status_of(host(9)).seen_ago, 2s);
  EXPECT_FALSE(status_of(host(9)).is_running);
}

}  // namespace
}  // namespace libsync::test
