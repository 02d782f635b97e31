// What a node says about itself. Private to the room.
#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "node/node.h"
#include "proto/records.pb.h"

namespace hamster::node {

// `before`: its row in the metadata, for what the options leave open; may be null.
Result<proto::Node> describe_self(runtime::World* control, const Options& options,
                                  base::NodeId node, const proto::Node* before);

// Our loops share one port between them, so the kernel would share it with another process of this
// user as well, without a word. Whoever listens there already answers a connection: kConflict.
runtime::Task<Result<void>> check_free(runtime::World* control, std::string address);

}  // namespace hamster::node
