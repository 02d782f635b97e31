// Random layouts, writes and moves against a model of the disks: which node has which shard. Nodes
// copy, rebuild and tidy up as they may, commands arrive late or never; and whatever happens, each
// shard that was committed is where the metadata sends a reader.
#include <algorithm>
#include <set>

#include "meta/testing_layout.h"

namespace hamster::meta {
namespace {

using namespace testing;

using Source = PartitionPlaces::Source;

constexpr std::uint64_t kNodes = 6;
constexpr std::uint64_t kBytes = 9;
// Blobs lie in a few partitions, one for each first letter of their ids.
const std::string kLetters = "pqrs";

std::uint16_t partition_of(char letter) {
    return base::partition_of(as_id<BlobId>(id16(letter, 0)));
}

// Which nodes have a shard, by blob and slot.
using Disks = std::map<BlobId, std::map<std::uint8_t, std::set<NodeId>>>;

class Cluster : public LayoutTest {
  protected:
    void start() {
        found(kNodes);
        remember_layout();
    }
    void TestBody() override {}

    void step(Dice& dice) {
        replica_.now += 10;
        switch (dice.below(16)) {
            case 0:
            case 1:
                return change_layout(dice);
            case 2:
            case 3:
            case 4:
                return put(dice);
            case 5:
                return put_with_holder(dice);
            case 6:
                return replace(dice);
            case 7:
                return remove(dice);
            case 8:
            case 9:
                return copy_slot(dice);
            case 10:
            case 11:
                return rebuild(dice);
            case 12:
            case 13:
            case 14:
                return deliver(dice);
            default:
                return tidy();
        }
    }
    // Each shard that is not missing is with somebody whom a reader asks.
    void check() {
        for (const BlobEntry& entry : live()) {
            for (std::uint8_t i = 0; i < width_of(entry.blob); ++i) {
                if (is_missing(entry.blob, slot(i))) continue;
                ASSERT_TRUE(is_found(entry, i)) << entry.blob.ShortDebugString() << " slot " << +i;
            }
        }
    }
    std::map<std::string, int> seen_;

  private:
    std::vector<BlobEntry> live() {
        std::vector<BlobEntry> out;
        for (const char letter : kLetters) {
            const auto some = *replica_.view().blobs_of(partition_of(letter), std::nullopt, 999);
            out.insert(out.end(), some.begin(), some.end());
        }
        return out;
    }
    PartitionPlaces of(const BlobId& blob) { return places(base::partition_of(blob)); }
    bool is_found(const BlobEntry& entry, std::uint8_t i) {
        const auto asked = places_of(entry.blob, of(entry.id), slot(i), n(1));
        const auto& having = disks_[entry.id][i];
        return std::ranges::any_of(asked,
                                   [&](const NodeId& node) { return having.contains(node); });
    }
    // What a coordinator knows that has not heard of the latest changes.
    void remember_layout() {
        for (const char letter : kLetters) {
            known_[layout().version()][partition_of(letter)] = places(partition_of(letter));
        }
    }
    std::uint64_t some_version(Dice& dice) {
        const std::uint64_t latest = layout().version();
        return latest - std::min(latest, dice.one_in(3) ? dice.below(3) : 0);
    }
    std::string fresh_id(Dice& dice) {
        return id16(kLetters[dice.below(kLetters.size())], ++blobs_);
    }
    bool answered(const std::string& what, const Command& command) {
        const Answer::Status status = replica_.status(command);
        ++seen_[what + " " + Answer::Status_Name(status)];
        return status == Answer::OK;
    }

    void change_layout(Dice& dice) {
        const std::uint64_t width =
            dice.one_in(6) ? 1 + dice.below(4) : std::max<std::uint64_t>(layout().width(), 2);
        Numbers all{1, 2, 3, 4, 5, 6};
        placement::Table table = table_of({all.begin(), all.begin() + static_cast<int>(width)});
        for (const char letter : kLetters) {
            const std::uint16_t partition = partition_of(letter);
            if (dice.one_in(3)) {
                stay(table, partition, all);
                continue;
            }
            for (std::size_t i = 0; i < all.size(); ++i) {
                std::swap(all[i], all[i + dice.below(all.size() - i)]);
            }
            testing::lay(table, partition, all);
        }
        const auto k = static_cast<std::uint32_t>(1 + dice.below(width));
        const auto m = static_cast<std::uint32_t>(dice.below(width - k + 1));
        const std::uint64_t latest = layout().version();
        const std::uint64_t expected = latest > 0 && dice.one_in(9) ? latest - 1 : latest;
        if (answered("layout", set_layout(expected, k, m, table))) remember_layout();
    }
    // The nodes that the partition has keep their slots; others follow when it grows.
    void stay(placement::Table& table, std::uint16_t partition, const Numbers& others) {
        std::vector<NodeId> nodes = places(partition).nodes;
        for (std::size_t i = 0; nodes.size() < table.width; ++i) {
            if (std::ranges::find(nodes, n(others[i])) == nodes.end())
                nodes.push_back(n(others[i]));
        }
        for (std::uint8_t i = 0; i < table.width; ++i) table.set({partition, i}, nodes[i]);
    }

    // Shards are written under the layout that the coordinator knows, then committed.
    void write_shards(const proto::NewBlob& blob) {
        const BlobId id = as_id<BlobId>(blob.blob_id());
        const PartitionPlaces& then = known_[blob.layout_version()][base::partition_of(id)];
        for (std::uint8_t i = 0; i < width_of(blob.geometry()); ++i) {
            if (is_missing(blob.geometry(), slot(i))) continue;
            disks_[id][i].insert(then.nodes[i]);
        }
    }
    void shape(proto::NewBlob& blob, Dice& dice) {
        const std::uint64_t version = some_version(dice);
        const auto width = static_cast<std::uint32_t>(
            known_[version][base::partition_of(as_id<BlobId>(blob.blob_id()))].nodes.size());
        const auto k = static_cast<std::uint32_t>(1 + dice.below(width));
        const auto m = static_cast<std::uint32_t>(dice.below(width - k + 1));
        const std::uint64_t missing = dice.one_in(2) ? 0 : dice.below(std::uint64_t{1} << (k + m));
        place(blob, k, m, version, missing);
    }
    void put(Dice& dice) {
        Command command = put_object(kBucket, "k" + std::to_string(dice.below(12)), fresh_id(dice),
                                     kBytes, replica_.now);
        proto::NewBlob& blob = *command.mutable_put_object()->mutable_new_blobs(0);
        shape(blob, dice);
        if (answered("put", command)) write_shards(blob);
    }
    void put_with_holder(Dice& dice) {
        const std::string id = fresh_id(dice);
        const std::uint64_t holder = 1 + dice.below(kNodes);
        const Command command =
            put_object(kBucket, "k" + std::to_string(dice.below(12)), id, kBytes, replica_.now);
        if (answered("put with holder", on_node(command, holder))) {
            disks_[as_id<BlobId>(id)][0].insert(n(holder));
        }
    }
    std::optional<BlobEntry> some_blob(Dice& dice) {
        const auto all = live();
        if (all.empty()) return std::nullopt;
        return all[dice.below(all.size())];
    }
    void replace(Dice& dice) {
        const auto old = some_blob(dice);
        if (!old) return;
        Command command =
            replace_blob(std::string(old->id.view()), fresh_id(dice), kBytes, replica_.now);
        proto::NewBlob& by = *command.mutable_replace_blob()->mutable_by();
        shape(by, dice);
        if (answered("replace", command)) write_shards(by);
    }
    void remove(Dice& dice) {
        replica_.apply(delete_object(kBucket, "k" + std::to_string(dice.below(12))));
        Command command;
        for (const auto& entry : *replica_.view().garbage(std::nullopt, 2)) {
            command.mutable_drop_garbage()->add_blob_ids(std::string(entry.blob.view()));
        }
        replica_.apply(command);
    }

    // The node of a slot fetches what it lacks in a view, from where the view says.
    void copy_slot(Dice& dice) {
        const std::uint16_t partition = partition_of(kLetters[dice.below(kLetters.size())]);
        const PartitionPlaces now = places(partition);
        const auto i = static_cast<std::uint8_t>(dice.below(now.nodes.size()));
        for (const BlobEntry& entry : live()) {
            if (base::partition_of(entry.id) != partition || !entry.blob.placed()) continue;
            if (i >= width_of(entry.blob) || is_missing(entry.blob, slot(i))) continue;
            disks_[entry.id][i].insert(now.nodes[i]);  // check() has seen that it is found
        }
        Command command = settle_slot(partition, i, 1, now.version);
        command.mutable_settle_slots()->mutable_settled(0)->set_node(
            std::string(now.nodes[i].view()));
        on_their_way_.push_back(command);
    }
    // A shard that is missing, or is with the holder, comes to its slot's node.
    void rebuild(Dice& dice) {
        const auto entry = some_blob(dice);
        if (!entry) return;
        const PartitionPlaces now = of(entry->id);
        for (std::uint8_t i = 0; i < width_of(entry->blob); ++i) {
            if (entry->blob.placed() && !is_missing(entry->blob, slot(i))) continue;
            disks_[entry->id][i].insert(now.nodes[i]);
            Command command = fill_slot_of(std::string(entry->id.view()), i, 1, now.version);
            command.mutable_fill_slots()->mutable_filled(0)->set_node(
                std::string(now.nodes[i].view()));
            on_their_way_.push_back(command);
        }
    }
    void deliver(Dice& dice) {
        if (on_their_way_.empty()) return;
        const std::size_t at = dice.below(on_their_way_.size());
        const Command command = on_their_way_[at];
        if (!dice.one_in(4)) on_their_way_.erase(on_their_way_.begin() + static_cast<int>(at));
        const std::string before = subject_of(command);
        ASSERT_EQ(replica_.status(command), Answer::OK);
        const std::string what = command.has_settle_slots() ? "settle" : "fill";
        ++seen_[what + (before == subject_of(command) ? " ignored" : " done")];
    }
    // The row that the command is about.
    std::string subject_of(const Command& command) {
        const auto row = command.has_settle_slots()
                             ? layout_row(static_cast<std::uint16_t>(
                                   command.settle_slots().settled(0).partition()))
                             : blob_row(as_id<BlobId>(command.fill_slots().filled(0).blob_id()));
        return replica_.store().get(row)->value_or("");
    }
    // Every node drops what it holds extra: it is neither the slot's, nor a source, nor the holder.
    void tidy() {
        for (const BlobEntry& entry : live()) {
            for (auto& shard : disks_[entry.id]) {
                const base::Slot of_slot = slot(shard.first);
                std::erase_if(shard.second,
                              [&](const NodeId& node) { return !belongs(entry, of_slot, node); });
            }
        }
    }
    bool belongs(const BlobEntry& entry, base::Slot of_slot, const NodeId& node) {
        const PartitionPlaces now = of(entry.id);
        const auto asked = places_of(entry.blob, now, of_slot, n(1));
        return std::ranges::find(asked, node) != asked.end() ||
               (of_slot.value < now.nodes.size() && now.nodes[of_slot.value] == node) ||
               std::ranges::find(now.sources, Source{of_slot, node}) != now.sources.end();
    }

    Disks disks_;
    std::map<std::uint64_t, std::map<std::uint16_t, PartitionPlaces>> known_;  // by version
    std::vector<Command> on_their_way_;
    std::uint64_t blobs_ = 0;
};

class LayoutModelTest : public Cluster, public ::testing::WithParamInterface<std::uint64_t> {};

TEST_P(LayoutModelTest, EveryShardIsWhereReadersAreSent) {
    start();
    Dice dice(GetParam());
    for (int i = 0; i < 400; ++i) {
        ASSERT_NO_FATAL_FAILURE(step(dice)) << "step " << i;
        ASSERT_NO_FATAL_FAILURE(check()) << "step " << i;
        if (i % 16 == 0) ASSERT_EQ(flaw_of_rows(replica_.store()), "") << "step " << i;
    }
    for (const char* what :
         {"layout OK", "put OK", "put LAYOUT_CHANGED", "put TOO_FEW_SHARDS", "put with holder OK",
          "replace OK", "settle done", "settle ignored", "fill done", "fill ignored"}) {
        EXPECT_GT(seen_[what], 0) << what;
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, LayoutModelTest, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace hamster::meta
