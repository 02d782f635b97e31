// A cluster with a layout, for the tests of the commands on it.
#pragma once

#include <string>

#include "meta/testing.h"
#include "meta/testing_rules.h"

namespace hamster::meta::testing {

inline NodeId n(std::uint64_t number) { return as_id<NodeId>(node_id(number)); }
inline base::Slot slot(std::uint8_t value) { return base::Slot{value}; }

// Without what every command changes.
inline Rows without_progress(Replica& replica) {
    Rows rows = rows_of(replica.store());
    rows.erase(system_row("applied"));
    std::erase_if(rows, [](const auto& row) {
        return row.first.front() == static_cast<char>(Table::kRequest);
    });
    return rows;
}

class LayoutTest : public ::testing::Test {
  protected:
    LayoutTest() { EXPECT_EQ(replica_.status(create_bucket("photos", kBucket)), Answer::OK); }
    void TearDown() override { EXPECT_EQ(flaw_of_rows(replica_.store()), ""); }
    // The founder is 1.
    void found(std::uint64_t nodes) {
        ASSERT_EQ(replica_.status(found_trust()), Answer::OK);
        for (std::uint64_t i = 2; i <= nodes; ++i) admit(node(i));
    }
    void admit(const proto::Node& newcomer) {
        ASSERT_EQ(replica_.status(put_token(++tokens_)), Answer::OK);
        ASSERT_EQ(replica_.status(admit_node(tokens_, newcomer)), Answer::OK);
    }
    Answer::Status lay(std::uint32_t k, std::uint32_t m, const Numbers& nodes) {
        return replica_.status(set_layout(layout().version(), k, m, table_of(nodes)));
    }
    // The answer, and nothing is left behind.
    void refused(const Command& command, Answer::Status status) {
        const Rows before = without_progress(replica_);
        const Answer answer = replica_.apply(command);
        EXPECT_EQ(answer.status(), status) << answer.detail() << command.ShortDebugString();
        EXPECT_EQ(without_progress(replica_), before) << command.ShortDebugString();
    }
    // The command is taken for an old one, and changes nothing.
    void ignored(const Command& command) { refused(command, Answer::OK); }
    proto::Layout layout() { return *replica_.view().layout(); }
    PartitionPlaces places(std::uint16_t partition = 0) {
        return *replica_.view().places(partition);
    }
    proto::Blob blob(const std::string& id) {
        return replica_.view().blob(as_id<BlobId>(id))->value_or(proto::Blob{});
    }
    std::size_t degraded() { return replica_.view().degraded(std::nullopt, 99)->size(); }
    std::uint64_t held(std::uint64_t number) { return *replica_.view().blobs_held(n(number)); }
    Answer::Status drop(const std::string& id) {
        Command command;
        command.mutable_drop_garbage()->add_blob_ids(id);
        return replica_.status(command);
    }
    Replica replica_;

  private:
    std::uint64_t tokens_ = 0;
};

}  // namespace hamster::meta::testing
