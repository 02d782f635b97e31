// Command decoding and apply on arbitrary bytes. The input is a list of commands, each behind its
// length (be16). Whatever they say: no crash, no store error, counters and references that add up.
#include <cstdlib>
#include <map>

#include "base/assert.h"
#include "base/encoding.h"
#include "kv/store.h"
#include "meta/apply.h"
#include "meta/keyspace.h"
#include "runtime/sim/simulator.h"

namespace hamster::meta {
namespace {

constexpr std::uint64_t kStamp = 1'700'000'000'000;

runtime::Task<void> open(runtime::World* world, std::unique_ptr<kv::Store>* out) {
    auto store = co_await kv::open(world, "store", kv::Options{});
    HAMSTER_ASSERT(store.has_value());
    *out = std::move(*store);
}

using Counts = std::map<std::string, std::uint32_t>;

void count(Counts& counts, const proto::Part& part) {
    if (!part.blob_id().empty()) ++counts[part.blob_id()];
}

// What each node is counted for is what it holds; without a founder nobody is.
void check_held(const kv::Store& store) {
    proto::Trust trust;
    const auto trust_row = store.get(system_row("trust"));
    HAMSTER_ASSERT(trust_row.has_value());
    if (*trust_row) HAMSTER_ASSERT(trust.ParseFromString(**trust_row));
    Counts wanted;
    Counts kept;
    const auto add = [&](const proto::Blob& blob) {
        if (*trust_row) ++wanted[blob.holder().empty() ? trust.founder() : blob.holder()];
    };
    const auto snapshot = store.snapshot();
    const auto it = snapshot->iterate();
    for (it->seek(""); it->valid(); it->next()) {
        const auto table = static_cast<Table>(it->key().front());
        const std::string value(it->value());
        if (table == Table::kBlob) {
            proto::Blob blob;
            HAMSTER_ASSERT(blob.ParseFromString(value));
            add(blob);
        } else if (table == Table::kGarbage) {
            proto::Garbage garbage;
            HAMSTER_ASSERT(garbage.ParseFromString(value));
            add(garbage.blob());
        } else if (table == Table::kBlobsHeld) {
            proto::BlobsHeld held;
            HAMSTER_ASSERT(held.ParseFromString(value));
            kept[std::string(it->key().substr(1))] = static_cast<std::uint32_t>(held.blobs());
        }
    }
    HAMSTER_ASSERT(wanted == kept);
}

// Each member has one name, and each name is a member's; nobody is a member and removed.
void check_nodes(const kv::Store& store) {
    std::map<std::string, std::string> names;
    std::map<std::string, std::string> named;
    const auto snapshot = store.snapshot();
    const auto it = snapshot->iterate();
    for (it->seek(""); it->valid(); it->next()) {
        const auto table = static_cast<Table>(it->key().front());
        const std::string id(it->key().substr(1));
        if (table == Table::kNode) {
            proto::Node node;
            HAMSTER_ASSERT(node.ParseFromString(std::string(it->value())));
            HAMSTER_ASSERT(node.node_id() == id);
            names[node.name()] = id;
            const auto removed = store.get(removed_node_row(*NodeId::from_bytes(id)));
            HAMSTER_ASSERT(removed.has_value() && !removed->has_value());
        } else if (table == Table::kNodeByName) {
            named[id] = std::string(it->value());
        }
    }
    HAMSTER_ASSERT(names == named);
}

void check(const kv::Store& store) {
    check_held(store);
    check_nodes(store);
    Counts wanted;
    Counts kept;
    const auto snapshot = store.snapshot();
    const auto it = snapshot->iterate();
    for (it->seek(""); it->valid(); it->next()) {
        const auto table = static_cast<Table>(it->key().front());
        const std::string value(it->value());
        if (table == Table::kVersion) {
            proto::Version version;
            HAMSTER_ASSERT(version.ParseFromString(value));
            for (const auto& part : version.parts()) count(wanted, part);
        } else if (table == Table::kPart) {
            proto::Part part;
            HAMSTER_ASSERT(part.ParseFromString(value));
            count(wanted, part);
        } else if (table == Table::kBlob) {
            proto::Blob blob;
            HAMSTER_ASSERT(blob.ParseFromString(value));
            kept[std::string(it->key().substr(3))] = blob.references();
        }
    }
    HAMSTER_ASSERT(wanted == kept);
}

void run(std::string_view input) {
    runtime::sim::Simulator sim(1);
    std::unique_ptr<kv::Store> store;
    sim.run(open(&sim.harness(), &store));
    std::uint64_t index = 0;
    Staging staging(*store);
    while (input.size() >= 2) {
        const std::size_t size =
            std::min<std::size_t>(base::get_be16(input.data()), input.size() - 2);
        auto command = decode_command(base::as_bytes(input.substr(2, size)));
        input.remove_prefix(2 + size);
        if (!command) continue;
        // The group sets these; an id of its own lets every command through to its body.
        if (command->request_id().empty()) {
            std::string number(8, '\0');
            base::put_be64(number, ++index);
            --index;
            const auto salt = *base::RequestId::from_bytes(number);
            command->set_request_id(std::string(mint_request_id(kStamp, salt).view()));
            command->set_stamp_ms(kStamp);
        }
        const auto answer = apply(staging, base::LogIndex{++index}, *command);
        HAMSTER_ASSERT(answer.has_value(), index);
    }
    HAMSTER_ASSERT(staging.write().has_value());
    check(*store);
}

}  // namespace
}  // namespace hamster::meta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    hamster::meta::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
