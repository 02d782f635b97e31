// What holds between the rows of a store after any command, counted again from the rows that are
// the truth. For tests and fuzzers.
#pragma once

#include <bit>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/encoding.h"
#include "base/partitions.h"
#include "kv/store.h"
#include "meta/keyspace.h"
#include "meta/layout.h"
#include "meta/limits.h"
#include "proto/records.pb.h"

namespace hamster::meta::testing {

class RowRules {
  public:
    explicit RowRules(const kv::Store& store) {
        const auto snapshot = store.snapshot();
        const auto it = snapshot->iterate();
        for (it->seek(""); it->valid() && flaw_.empty(); it->next()) {
            take(static_cast<Table>(it->key().front()), std::string(it->key().substr(1)),
                 std::string(it->value()));
        }
        if (flaw_.empty()) judge();
    }
    // Empty: all of it holds. Else what does not, for people.
    [[nodiscard]] const std::string& flaw() const { return flaw_; }

  private:
    using Counts = std::map<std::string, std::uint64_t>;

    void require(bool holds, const char* what, const std::string& id = {}) {
        if (holds || !flaw_.empty()) return;
        flaw_ = std::string(what) + " " + base::hex_encode(base::as_bytes(id));
    }
    template <class Message>
    Message parse(const std::string& value, const char* what) {
        Message message;
        require(message.ParseFromString(value), what);
        return message;
    }
    void count(const proto::Part& part) {
        if (!part.blob_id().empty()) ++references_[part.blob_id()];
    }

    void take(Table table, const std::string& row, const std::string& value) {
        switch (table) {
            case Table::kVersion:
                for (const auto& part : parse<proto::Version>(value, "version").parts()) {
                    count(part);
                }
                return;
            case Table::kPart:
                return count(parse<proto::Part>(value, "part"));
            case Table::kBlob:
                live_[row.substr(2)] = parse<proto::Blob>(value, "blob");
                return;
            case Table::kGarbage:
                garbage_[row.substr(2)] = parse<proto::Garbage>(value, "garbage").blob();
                return;
            case Table::kDegraded:
                degraded_.insert(row.substr(2));
                return;
            case Table::kAlias:
                aliases_[row.substr(2)] = value;
                return;
            case Table::kGeometry:
                geometries_[row] = parse<proto::GeometryCount>(value, "geometry");
                return;
            case Table::kBlobsHeld:
                held_[row] = parse<proto::BlobsHeld>(value, "held").blobs();
                return;
            case Table::kLayout:
                return take_partition(row, value);
            case Table::kNode:
                return take_node(row, parse<proto::Node>(value, "node"));
            case Table::kNodeByName:
                named_[row] = value;
                return;
            case Table::kRemovedNode:
                removed_.insert(row);
                return;
            case Table::kSystem:
                if (row == "layout") layout_ = parse<proto::Layout>(value, "layout");
                if (row == "trust") trust_ = parse<proto::Trust>(value, "trust");
                return;
            default:
                return;
        }
    }
    void take_partition(const std::string& row, const std::string& value) {
        auto places = parse_places(value);
        require(places.has_value(), "partition", row);
        if (places) places_[row] = std::move(*places);
    }
    void take_node(const std::string& row, const proto::Node& node) {
        require(node.node_id() == row, "a node's row", row);
        names_[node.name()] = row;
        if (node.replaces().empty()) return;
        require(replaced_.insert(node.replaces()).second, "replaced twice", node.replaces());
    }

    void judge() {
        judge_references();
        judge_blobs();
        judge_counts();
        judge_layout();
        require(names_ == named_, "names");
        for (const auto& [name, id] : names_) require(!removed_.contains(id), "removed", id);
    }
    // Parts name a re-encoded blob by its logical id, and the alias leads to it.
    void judge_references() {
        Counts counted;
        std::map<std::string, std::string> aliases;
        for (const auto& [id, blob] : live_) {
            const std::string& name = blob.logical().empty() ? id : blob.logical();
            counted[name] += blob.references();
            if (!blob.logical().empty()) aliases[name] = id;
            require(!garbage_.contains(id), "live and garbage", id);
        }
        require(counted == references_, "references");
        require(aliases == aliases_, "aliases");
        for (const auto& [name, id] : aliases_) require(!live_.contains(name), "two of", name);
    }
    void judge_blobs() {
        for (const auto& [id, blob] : live_) {
            require(degraded_.contains(id) == (blob.missing() != 0), "degraded", id);
            const std::uint32_t missing = static_cast<std::uint32_t>(std::popcount(blob.missing()));
            require(blob.missing() >> width_of(blob) == 0, "missing slots beyond", id);
            require(blob.placed() || missing == 0, "missing and not placed", id);
            require(width_of(blob) - missing >= std::min(blob.k() + 1, width_of(blob)), "few", id);
            require(!blob.placed() || blob.holder().empty(), "placed with a holder", id);
        }
        for (const std::string& id : degraded_) require(live_.contains(id), "degraded", id);
    }
    // Each node is counted for what it holds once there is a founder, each geometry once there is
    // a layout.
    void judge_counts() {
        Counts held;
        std::map<std::string, proto::GeometryCount> geometries;
        const auto add = [&](const proto::Blob& blob) {
            if (trust_ && !blob.placed()) {
                ++held[blob.holder().empty() ? trust_->founder() : blob.holder()];
            }
            if (!layout_) return;
            auto& count = geometries[geometry_row({static_cast<std::uint16_t>(blob.k()),
                                                   static_cast<std::uint16_t>(blob.m())})
                                         .substr(1)];
            count.set_blobs(count.blobs() + 1);
            count.set_bytes(count.bytes() + blob.size());
        };
        for (const auto& [id, blob] : live_) add(blob);
        for (const auto& [id, blob] : garbage_) add(blob);
        require(held == held_, "blobs held");
        require(geometries.size() == geometries_.size(), "geometries");
        for (const auto& [row, count] : geometries) {
            const auto& kept = geometries_[row];
            require(kept.blobs() == count.blobs() && kept.bytes() == count.bytes(), "count", row);
        }
    }
    void judge_layout() {
        const proto::Layout layout = layout_ ? *layout_ : first_layout();
        require(layout.k() >= 1 && layout.k() + layout.m() <= layout.width(), "profile");
        require(places_.size() == base::partitions() || layout.width() == 1, "no row, but slots");
        std::uint32_t unsettled = 0;
        for (const auto& [row, places] : places_) {
            require(places.nodes.size() == layout.width(), "width of", row);
            require(places.version >= 1 && places.version <= layout.version(), "version of", row);
            unsettled += places.sources.empty() ? 0 : 1;
        }
        require(unsettled == layout.unsettled(), "unsettled");
        for (const auto* blobs : {&live_, &garbage_}) {
            for (const auto& [id, blob] : *blobs) {
                require(!layout_ || width_of(blob) <= layout.width(), "too wide", id);
            }
        }
    }

    std::string flaw_;
    Counts references_;
    std::map<std::string, proto::Blob> live_;
    std::map<std::string, proto::Blob> garbage_;
    std::set<std::string> degraded_;
    std::map<std::string, std::string> aliases_;
    std::map<std::string, proto::GeometryCount> geometries_;
    Counts held_;
    std::map<std::string, PartitionPlaces> places_;
    std::optional<proto::Layout> layout_;
    std::optional<proto::Trust> trust_;
    std::map<std::string, std::string> names_;
    std::map<std::string, std::string> named_;
    std::set<std::string> removed_;
    std::set<std::string> replaced_;
};

// Empty: the rows of the store add up. Else what does not.
inline std::string flaw_of_rows(const kv::Store& store) { return RowRules(store).flaw(); }

}  // namespace hamster::meta::testing
