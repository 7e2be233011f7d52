#pragma once

// One Download in a MinionWorld, and its event loop.

#include <gmock/gmock.h>

#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "minion/download.h"
#include "minion_world.h"

namespace libsync::test {

struct DownloadWorld : MinionWorld {
  using MinionWorld::MinionWorld;

  /// Joins the run, as a tick does, and makes the Download.
  Download& start() {
    state.emplace(repo());
    const auto outcome =
        coordinator->join(kSelf, HostId(), Arrival::first_of_tick, SeatWish::wanted, Duration(0));
    const auto& joined = std::get<Joined>(outcome);
    spool().assign({.role = Role::minion,
                    .prefix = "sync",
                    .run = joined.run.id,
                    .task = joined.run.task,
                    .content = joined.run.fingerprint});
    return download.emplace(*coordinator, transfer, clock,
                            DownloadOptions{.self = kSelf, .repo = repo()}, *state, joined.run,
                            joined.seat);
  }

  /// The master puts its spool right, and says so, whenever the origin is accused.
  void act_as_master() {
    if (!shared.run() || !known(kOrigin).is_suspect) return;
    serve(kOrigin);
    static_cast<void>(shared.vouch(run->id));
  }

  void wait() {
    act_as_master();
    std::vector<int> descriptors;
    download->append_descriptors(descriptors);
    clock.wait(download->next_due(), descriptors);
  }

  /// A busy machine may need many.
  static constexpr int kMostSteps = 3000;

  /// Steps until it holds, which comes before the end.
  void step_until(const std::function<bool()>& holds) {
    for (int i = 0; i < kMostSteps && !holds(); ++i) {
      ASSERT_FALSE(download->step());
      wait();
    }
    ASSERT_TRUE(holds()) << "it does not come to that";
  }
  std::optional<DownloadEnd> finish() {
    for (int i = 0; i < kMostSteps; ++i) {
      if (auto end = download->step()) return end;
      wait();
    }
    ADD_FAILURE() << "it does not end";
    return std::nullopt;
  }

  /// Steps until a step throws.
  void step_until_failure() {
    for (int i = 0; i < kMostSteps; ++i) {
      try {
        if (download->step()) break;
      } catch (const Failure&) {
        return;
      }
      wait();
    }
    ADD_FAILURE() << "no step fails";
  }

  /// Runs to the Failure that ends the download.
  [[nodiscard]] Failure finish_failing() {
    try {
      static_cast<void>(finish());
    } catch (const Failure& caught) {
      return caught;
    }
    ADD_FAILURE() << "it does not fail";
    return {ExitStatus::done, Remedy::try_again, ""};
  }

  /// Runs to the end, and expects that the payload is published.
  Published publish() {
    start();
    const auto end = finish();
    const auto* const published = end ? std::get_if<Published>(&*end) : nullptr;
    EXPECT_NE(published, nullptr);
    expect_published();
    expect_finished();
    EXPECT_THAT(transfer.running(), testing::IsEmpty());
    return published != nullptr ? *published : Published{};
  }

  [[nodiscard]] FakeHost& known(const Address& host) { return shared.run()->host(host); }
  [[nodiscard]] PieceNumber in_place() { return known(kSelf).in_place; }

  std::optional<StateFolder> state;
  std::optional<Download> download;
};

class DownloadTest : public testing::Test, protected DownloadWorld {
 protected:
  explicit DownloadTest(PayloadKind kind = PayloadKind::folder) : DownloadWorld(kind) {}
};

}  // namespace libsync::test
