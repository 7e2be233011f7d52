#pragma once

// A run as values: which one it is, how its payload is cut, and how it stands.
//
// Start here. These are the words of the project, each with one meaning:
//
//   task         what the operator set: the absolute path of a payload
//   run          one distribution of a task
//   payload      the file or folder
//   listing      the payload as the master reads it from its disk
//   manifest     the entries of the payload, as every host gets them
//   stream       the bytes of the payload's files, end to end
//   piece        a part of the stream; the cut is how the stream is divided
//   spool        what a host keeps of a run; the run record says whose spool it is
//   source       a host that can serve a piece; the origin is the first one
//   parent       the source in a tree
//   seat         a host's position in the trees
//   claim        the right to pull named pieces from one source, under a lease, named by a token
//   assignment   a source and pieces to pull from it, by a claim or by a seat
//   pull         one rsync
//   holdings     what a host has; a report tells them to the shared state
//   view         how the run stands, as a host sees it
//   wake-up      a message that ends a host's waiting
//   place        to put a piece where it belongs in the payload
//   publish      to swap the finished payload with the destination
//   finish       to report that the payload is published
//   receipt      the note of what a host published last
//   missing      expected, and not finished
//   never came   expected, and not heard of in this run
//   silent       no word for 30 s in a tick that lingers or pulls, else for 10 min
//   tick         one call of a program by cron; it may linger for work
//   verify       to compare bytes with their digest; reverify: once more

#include <cstddef>
#include <cstdint>

#include "libsync/core/address.h"
#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/task.h"
#include "libsync/core/time.h"

namespace libsync {

/// Only a staged run may be published.
enum class RunState {
  staging,  ///< Pieces are still being announced.
  staged,   ///< All are announced, and the payload had not changed when the last one was.
};

/// The way in which pieces reach the origin's spool.
enum class OriginKind {
  master,  ///< The origin is the master's own host, and the master fills its spool.
  minion,  ///< The master pushes to another host, whose minion verifies the pieces.
};

/// Whether this version of sync-fanout can read the spools and the manifest of a run.
enum class RunFormat {
  ours,
  other,  ///< Another version began the run: it can end, and be neither pulled nor resumed.
};

struct RunInfo {
  RunId id;
  RunState state = RunState::staging;
  TaskPath task;
  Fingerprint fingerprint;
  Cut cut;
  Digest manifest;
  std::uint64_t manifest_bytes = Manifest::max_bytes;  ///< The manifest is no longer than this.
  Address origin;
  OriginKind origin_kind = OriginKind::master;
  MasterId master;
  bool has_trees = false;      ///< Decided when the run begins.
  std::uint64_t begun_ms = 0;  ///< By the clock of Redis: to be compared with its other times only.
};

enum class Suspicion {
  none,
  verify,  ///< Other hosts got wrong bytes from this one: it reverifies its spool before it serves.
};

/// How the run stands, for a minion. Every answer holds one.
struct View {
  RunState state = RunState::staging;
  std::size_t sources = 0;
  std::size_t finished = 0;
  Suspicion suspicion = Suspicion::none;
  Duration usual_piece{0};  ///< The mean time of a piece by claims, in all hosts; 0: not known.
};

/// The run has ended, and another one may have begun.
struct Stale {};

}  // namespace libsync
