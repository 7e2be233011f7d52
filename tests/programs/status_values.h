#pragma once

// Parts of a snapshot, for the tests of what shows it.

#include <chrono>
#include <string>
#include <utility>

#include "libsync/observer.h"
#include "os/random.h"
#include "task_path.h"

namespace libsync::test {

/// An expected host whose tick is at work in the run.
[[nodiscard]] inline HostStatus joined_host(std::string address) {
  HostStatus host;
  host.address = std::move(address);
  host.is_expected = true;
  host.has_joined = true;
  host.is_ticking = true;
  host.seen_ago = std::chrono::seconds(1);
  return host;
}

/// A staged run of ten pieces of 100 bytes. A host placed one a second ago.
[[nodiscard]] inline RunStatus staged_run(std::chrono::milliseconds age, std::size_t announced,
                                          std::size_t expected) {
  return {.run = {.id = RunId::parse(std::string(32, 'a')).value(),
                  .state = RunState::staged,
                  .task = task_path("/data1/model.7"),
                  .fingerprint = random_name<Fingerprint>(),
                  .cut = {1000, 100},
                  .manifest = digest_of(""),
                  .origin = Address::parse("10.0.0.1").value(),
                  .master = random_name<MasterId>()},
          .age = age,
          .announced = announced,
          .free_sources = 2,
          .expected = expected,
          .moves = {.moved_ago = std::chrono::seconds(1)}};
}

}  // namespace libsync::test
