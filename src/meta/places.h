// Where the store of a group lies: a snapshot from another node is received beside the store in use
// and takes its place by the rewriting of one small file, `current`. Format:
// docs/formats/data-directory.md.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/world.h"

namespace hamster::meta {

struct Place {
    std::string store = "store";  // a directory beside the log
    // The store came as a snapshot, and the log may not have been emptied for it yet.
    bool is_installed = false;
    bool operator==(const Place&) const = default;
};

// The place of a group without the file is the default one. kCorrupt.
runtime::Task<Result<Place>> read_place(runtime::Disk* disk, std::string dir);
runtime::Task<Result<void>> write_place(runtime::Disk* disk, std::string dir, Place place);
// A directory name that is not in use.
runtime::Task<Result<std::string>> free_store_name(runtime::Disk* disk, std::string dir);
// Removes every store but `keep` and `also`. What cannot be removed stays, for the next time.
runtime::Task<void> remove_other_stores(runtime::Disk* disk, std::string dir, std::string keep,
                                        std::string also);

}  // namespace hamster::meta
