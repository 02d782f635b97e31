// The bodies that clients of a simulated cluster write. Each write has a tag of its own, and what a
// tag stands for never changes: any body that is read can be told right from wrong.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cluster_plan.h"
#include "content.h"
#include "linearizability.h"
#include "runtime/prng.h"

namespace hamster::simulation {

struct Body {
    Content content;
    std::string etag;  // hex, as the write answers it
    // A copy of it may have another ETag: of the bytes as a whole.
    bool has_two_etags = false;
};

class Bodies {
  public:
    explicit Bodies(const ClusterPlan* plan)
        : plan_(plan), random_(runtime::Prng::split(plan->seed, "cluster bodies")) {}

    // Sizes lie around whatever the data path treats in another way; at least 8 bytes, so that no
    // two bodies are equal.
    [[nodiscard]] Piece draw();
    // Remembers what is about to be written under `tag`, once.
    const Body& add(Tag tag, Content content, bool is_multipart);
    // Nothing was ever written under an unknown tag.
    [[nodiscard]] const Body* find(Tag tag) const;
    // kAbsent: nobody wrote it.
    [[nodiscard]] Tag tag_of(const std::string& etag) const;
    // Copies of it, from here on, may be stored anew. False: their ETag would be that of another
    // body, and nobody could tell them apart.
    [[nodiscard]] bool will_be_copied(Tag tag);

  private:
    [[nodiscard]] std::uint64_t draw_size();
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_.below(n); }

    const ClusterPlan* plan_;
    runtime::Prng random_;
    std::map<Tag, Body> bodies_;
    std::map<std::string, Tag> tags_;  // by ETag
};

// Of the content as one body.
std::string whole_etag(const Content& content);

}  // namespace hamster::simulation
