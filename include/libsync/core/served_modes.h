#pragma once

// The modes of what a host serves from its spool.
//
// A module may run as another user than the minion: it reads by the group of the repo folder, and
// nobody else can. rsync gives a pulled file the same mode, so that nothing that rsync does late
// can undo it.

namespace libsync {

inline constexpr unsigned kServedFileMode = 0640;
inline constexpr unsigned kServedFolderMode = 0750;

}  // namespace libsync
