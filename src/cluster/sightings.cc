#include "cluster/sightings.h"

#include <utility>

namespace hamster::cluster {

void Sightings::hear(const NodeId& node, const std::string& address, Source source) {
    if (address.empty() || address.size() > kMaxAddressBytes) return;
    Sighting& sighting = heard_[node];
    const bool has_own_word = !sighting.address.empty() && sighting.source == Source::kItself;
    if (source == Source::kOthers && has_own_word) return;
    sighting.address = address;
    sighting.source = source;
}

std::string Sightings::choose(const NodeId& node, const std::string& known) {
    const auto found = heard_.find(node);
    if (found == heard_.end()) return known;
    Sighting& sighting = found->second;
    const bool use_known = sighting.address.empty() || (sighting.was_tried && !known.empty());
    sighting.was_tried = !use_known;
    return use_known ? known : std::exchange(sighting.address, std::string());
}

std::string Sightings::word_of(const NodeId& node) const {
    const auto found = heard_.find(node);
    const bool is_own = found != heard_.end() && found->second.source == Source::kItself;
    return is_own ? found->second.address : std::string();
}

}  // namespace hamster::cluster
