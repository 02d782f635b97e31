// The simulated disk as one incarnation sees it.
//
// The fault model
// - write(), allocate(), punch(), truncate() change a cache. A later sync() that succeeds makes
//   what was issued before it durable. write_durable() is durable when it returns.
// - A crash decides for every change that is not durable by itself, in any combination: kept, lost
//   or torn. A torn write leaves any subset of its 512-byte sectors, or a prefix that ends at any
//   byte; the file may have its new size although the data never came (zeros). This includes
//   durable writes and syncs in flight.
// - What a sync, a durable write or sync_dir returned success for is never lost by a crash.
// - Creating, renaming and removing a name is durable once sync_dir() of its directory returned;
//   before that a crash keeps or forgets each such change by itself (a rename as a whole). Syncing
//   a file does not make its name durable.
// - A failed sync drops what it should have made durable: reads still show it, the next sync
//   succeeds, a crash reveals the loss. A failed durable write is whole, torn or absent.
// - A full disk refuses what needs new pages; a refused write may have written a part. Punching,
//   truncating and removing give pages back at once. Overwriting needs none.
// - Reads may fail, once, or return one flipped bit that stays flipped. Any operation may be slow.
// - I/O boundaries: before and after every operation that changes the disk, and in the middle of
//   write_durable, sync and sync_dir. crash_at_io() counts these.
// Not modelled: misdirected I/O, a disk that lies about a successful sync.
#pragma once

#include <memory>

#include "runtime/sim/disk_state.h"
#include "runtime/world.h"

namespace hamster::runtime::sim {

std::unique_ptr<Disk> make_disk(std::shared_ptr<DiskState> state);

}  // namespace hamster::runtime::sim
