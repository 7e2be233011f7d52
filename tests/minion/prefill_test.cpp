// The files of pieces get old bytes before their pulls.

#include "minion/prefill.h"

#include <gtest/gtest.h>

#include <chrono>

#include "cut_payload.h"
#include "libsync/core/run_record.h"
#include "os/random.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync::test {
namespace {

// The old bytes of one large piece need minutes, and its pull begins after them.
TEST(Prefill, SaysHowManyBytesAreCopied) {
  const TemporaryFolder folder;
  write_file(folder.path() / "source" / "a", random_bytes(3000, 1));
  std::filesystem::copy(folder.path() / "source", folder.path() / "old");
  const CutPayload cut(folder.path() / "source", 1000);
  const StateFolder state(folder.path());
  const auto spool = state.spool(random_name<Fingerprint>());
  spool.assign(RunRecord{Role::minion, "sync", random_name<RunId>(), task_path("/srv/name"),
                         random_name<Fingerprint>()});
  Prefill prefill(spool, cut.cut(), Density::dense);
  EXPECT_EQ(prefill.work(), "");
  const Basis basis{.old = std::make_shared<const OldCopy>(locate(folder.path(), "old"),
                                                           cut.manifest(), 1000, std::stop_token()),
                    .likeness = Likeness::shown,
                    .spare_pieces = 3};
  Assignment assignment{.source = Address::parse("10.0.0.1").value(), .pieces = {cut.staged(1)}};
  bool is_ready = false;
  EXPECT_FALSE(prefill.prepare(assignment, basis, [&] { is_ready = true; }));
  EXPECT_TRUE(
      eventually([&] { return prefill.work() == "copying old bytes for 1 pulls, 2 kB so far"; },
                 std::chrono::seconds(20)))
      << prefill.work();
  EXPECT_TRUE(eventually(
      [&] {
        prefill.collect();
        return is_ready;
      },
      std::chrono::seconds(20)));
  EXPECT_EQ(prefill.work(), "");
}

}  // namespace
}  // namespace libsync::test
