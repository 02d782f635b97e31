// Addresses of nodes that are not in the metadata, or not there yet: a node that moved says where
// it is to everyone it still finds, and asks them where the others are, until there is a leader
// that can write it down. Only hints: whoever is found at one still shows his certificate. Control
// loop.
#pragma once

#include <map>
#include <string>

#include "base/ids.h"

namespace hamster::cluster {

using base::NodeId;

class Sightings {
  public:
    enum class Source { kItself, kOthers };

    // The word of a node about itself stands until it was tried; what others say does not replace
    // it. An address of more than kMaxAddressBytes is ignored.
    void hear(const NodeId& node, const std::string& address, Source source);
    // Where to look for a node that the metadata has at `known` (empty: nowhere): there, and every
    // other time at what was heard since. What was heard is good for one try, so that something
    // wrong never keeps this node from what is right.
    std::string choose(const NodeId& node, const std::string& known);
    // What the node itself said and nobody tried yet; empty: nothing. For passing on.
    [[nodiscard]] std::string word_of(const NodeId& node) const;

    static constexpr std::size_t kMaxAddressBytes = 300;  // a host name and a port

  private:
    struct Sighting {
        std::string address;  // empty: nothing
        Source source = Source::kOthers;
        bool was_tried = false;  // the last choice was something heard
    };
    std::map<NodeId, Sighting> heard_;
};

}  // namespace hamster::cluster
