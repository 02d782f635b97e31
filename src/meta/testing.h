// What the tests of this room share: a store in a simulated world, and commands in one line each.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/partitions.h"
#include "crypto/digest.h"
#include "kv/store.h"
#include "meta/apply.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "meta/view.h"
#include "placement/encoding.h"
#include "runtime/sim/simulator.h"

namespace hamster::meta::testing {

using Answer = proto::Answer;
using Command = proto::Command;

inline constexpr std::uint64_t kStart = 1'700'000'000'000;  // ms since 1970
inline constexpr std::uint64_t kMiB = 1ULL << 20;

// The test's own generator (SplitMix64), so that a seed means the same everywhere.
class Dice {
  public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}
    std::uint64_t below(std::uint64_t bound) {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return (z ^ (z >> 31)) % bound;
    }
    bool one_in(std::uint64_t n) { return below(n) == 0; }

  private:
    std::uint64_t state_;
};

// An id whose bytes all differ from those of another (kind, number).
inline std::string id16(char kind, std::uint64_t number) {
    std::string out(8, kind);
    base::put_be64(out, number);
    return out;
}

inline const std::string kBucket = id16('b', 1);
inline const std::string kBlob1 = id16('x', 1);
inline const std::string kBlob2 = id16('y', 2);
inline const std::string kBlob3 = id16('z', 3);
inline const std::string kUpload = id16('u', 1);
template <class Id>
Id as_id(std::string_view bytes) {
    return *Id::from_bytes(bytes);
}
inline std::string md5_of(std::string_view seed) { return crypto::md5(base::as_bytes(seed)); }
inline std::string etag_of(std::string_view seed) {
    return base::hex_encode(base::as_bytes(md5_of(seed)));
}
inline const std::string kRoot(16, '\0');

inline Command create_bucket(const std::string& name, const std::string& id,
                             const std::string& owner = kRoot) {
    Command command;
    auto& body = *command.mutable_create_bucket();
    body.set_name(name);
    body.set_bucket_id(id);
    body.set_owner(owner);
    return command;
}
inline Command delete_bucket(const std::string& id) {
    Command command;
    command.mutable_delete_bucket()->set_bucket_id(id);
    return command;
}
inline void add_new_blob(proto::NewBlob& blob, const std::string& id, std::uint64_t size,
                         std::uint64_t sealed_ms) {
    blob.set_blob_id(id);
    blob.set_sealed_ms(sealed_ms);
    blob.mutable_geometry()->set_size(size);
    blob.mutable_geometry()->set_k(1);
    blob.mutable_geometry()->set_slice_bytes(4096);
}
// `blob` is both the body's name and the blob's; size 0: no blob.
inline Command put_object(const std::string& bucket, const std::string& key,
                          const std::string& blob, std::uint64_t size,
                          std::uint64_t sealed_ms = kStart) {
    Command command;
    auto& body = *command.mutable_put_object();
    body.set_bucket_id(bucket);
    body.set_key(key);
    body.mutable_version()->set_size(size);
    body.mutable_version()->set_etag(etag_of(blob));
    if (size == 0) return command;
    auto& part = *body.mutable_version()->add_parts();
    part.set_blob_id(blob);
    part.set_size(size);
    part.set_md5(md5_of(blob));
    add_new_blob(*body.add_new_blobs(), blob, size, sealed_ms);
    return command;
}
// The same body by reference.
inline Command copy_object(const std::string& bucket, const std::string& key,
                           const std::string& blob, std::uint64_t size) {
    Command command = put_object(bucket, key, blob, size);
    command.mutable_put_object()->clear_new_blobs();
    command.mutable_put_object()->add_shared_blobs(blob);
    return command;
}
inline Command delete_object(const std::string& bucket, const std::string& key) {
    Command command;
    command.mutable_delete_object()->set_bucket_id(bucket);
    command.mutable_delete_object()->set_key(key);
    return command;
}
inline Command create_upload(const std::string& bucket, const std::string& key,
                             const std::string& upload) {
    Command command;
    auto& body = *command.mutable_create_upload()->mutable_upload();
    body.set_bucket_id(bucket);
    body.set_key(key);
    body.set_upload_id(upload);
    return command;
}
inline Command put_part(const std::string& bucket, const std::string& key,
                        const std::string& upload, std::uint32_t number, const std::string& blob,
                        std::uint64_t size, std::uint64_t sealed_ms = kStart) {
    Command command;
    auto& body = *command.mutable_put_part();
    body.set_bucket_id(bucket);
    body.set_key(key);
    body.set_upload_id(upload);
    body.mutable_part()->set_number(number);
    body.mutable_part()->set_size(size);
    body.mutable_part()->set_md5(md5_of(size == 0 ? "" : blob));
    if (size == 0) return command;
    body.mutable_part()->set_blob_id(blob);
    add_new_blob(*body.add_new_blobs(), blob, size, sealed_ms);
    return command;
}
using Listed = std::vector<std::pair<std::uint32_t, std::string>>;  // number, blob
inline Command complete_upload(const std::string& bucket, const std::string& key,
                               const std::string& upload, const Listed& parts) {
    Command command;
    auto& body = *command.mutable_complete_upload();
    body.set_bucket_id(bucket);
    body.set_key(key);
    body.set_upload_id(upload);
    for (const auto& [number, blob] : parts) {
        auto& part = *body.add_parts();
        part.set_number(number);
        part.set_etag(etag_of(blob));
    }
    return command;
}
inline Command abort_upload(const std::string& bucket, const std::string& key,
                            const std::string& upload) {
    Command command;
    auto& body = *command.mutable_abort_upload();
    body.set_bucket_id(bucket);
    body.set_key(key);
    body.set_upload_id(upload);
    return command;
}
inline Command put_user(const std::string& id, const std::string& name) {
    Command command;
    command.mutable_put_user()->mutable_user()->set_user_id(id);
    command.mutable_put_user()->mutable_user()->set_name(name);
    return command;
}

// A member of the cluster as the tests have it: n1, n2, ... each on a host of its own.
inline std::string node_id(std::uint64_t number) { return id16('N', number); }
inline std::string token_id(std::uint64_t number) { return id16('t', number); }
inline proto::Node node(std::uint64_t number) {
    proto::Node out;
    out.set_node_id(node_id(number));
    out.set_name("n" + std::to_string(number));
    out.set_host("host" + std::to_string(number));
    out.set_zone("z");
    out.set_capacity_bytes(1000 * number);
    out.set_address("127.0.0.1:" + std::to_string(7000 + number));
    out.set_version("0.1.0");
    out.set_public_key(std::string(32, static_cast<char>(number)));
    return out;
}
inline Command found_trust(std::uint64_t founder = 1) {
    Command command;
    auto& body = *command.mutable_found_trust();
    body.mutable_trust()->set_ca_certificate("certificate");
    body.mutable_trust()->set_sealed_ca_key("sealed");
    body.mutable_trust()->set_founder(node_id(founder));
    *body.mutable_founder() = node(founder);
    return command;
}
inline std::string secret_hash(std::uint64_t token) {
    return std::string(32, static_cast<char>('A' + token % 26));
}
inline Command put_token(std::uint64_t number, std::uint64_t expires_ms = kStart + 86'400'000) {
    Command command;
    auto& token = *command.mutable_put_token()->mutable_token();
    token.set_token_id(token_id(number));
    token.set_secret_hash(secret_hash(number));
    token.set_expires_ms(expires_ms);
    return command;
}
inline Command admit_node(std::uint64_t token, const proto::Node& newcomer) {
    Command command;
    auto& body = *command.mutable_admit_node();
    body.set_token_id(token_id(token));
    body.set_secret_hash(secret_hash(token));
    *body.mutable_node() = newcomer;
    return command;
}
inline Command update_node(const proto::Node& said) {
    Command command;
    *command.mutable_update_node()->mutable_node() = said;
    return command;
}
inline Command set_leaving(std::uint64_t number, bool leaving = true) {
    Command command;
    command.mutable_set_leaving()->set_node_id(node_id(number));
    command.mutable_set_leaving()->set_leaving(leaving);
    return command;
}
inline Command remove_node(std::uint64_t number, bool lost = false) {
    Command command;
    command.mutable_remove_node()->set_node_id(node_id(number));
    command.mutable_remove_node()->set_lost(lost);
    return command;
}
// The same body on the node `number`.
inline Command on_node(Command command, std::uint64_t number) {
    auto& blobs = command.has_put_part() ? *command.mutable_put_part()->mutable_new_blobs()
                                         : *command.mutable_put_object()->mutable_new_blobs();
    for (auto& blob : blobs) blob.mutable_geometry()->set_holder(node_id(number));
    return command;
}

// The nodes of slot 0, 1, ... by number.
using Numbers = std::vector<std::uint64_t>;
inline void lay(placement::Table& table, std::uint16_t partition, const Numbers& numbers) {
    for (std::uint8_t slot = 0; slot < table.width; ++slot) {
        table.set({partition, slot}, as_id<NodeId>(node_id(numbers[slot])));
    }
}
// The same in every partition.
inline placement::Table table_of(const Numbers& numbers) {
    auto table = placement::Table::of_width(static_cast<std::uint32_t>(numbers.size()));
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        lay(table, partition, numbers);
    }
    return table;
}
inline Command set_layout(std::uint64_t expected, std::uint32_t k, std::uint32_t m,
                          const placement::Table& table) {
    Command command;
    auto& body = *command.mutable_set_layout();
    body.set_expected_version(expected);
    body.set_k(k);
    body.set_m(m);
    body.set_table(placement::encode(table));
    return command;
}
inline void place(proto::NewBlob& blob, std::uint32_t k, std::uint32_t m, std::uint64_t version,
                  std::uint64_t missing = 0) {
    blob.set_layout_version(version);
    blob.mutable_geometry()->set_k(k);
    blob.mutable_geometry()->set_m(m);
    blob.mutable_geometry()->set_missing(missing);
    blob.mutable_geometry()->set_placed(true);
}
// The same body where the layout of that version says.
inline Command placed(Command command, std::uint32_t k, std::uint32_t m, std::uint64_t version,
                      std::uint64_t missing = 0) {
    auto& blobs = command.has_put_part() ? *command.mutable_put_part()->mutable_new_blobs()
                                         : *command.mutable_put_object()->mutable_new_blobs();
    for (auto& blob : blobs) place(blob, k, m, version, missing);
    return command;
}
inline Command settle_slot(std::uint32_t partition, std::uint32_t slot, std::uint64_t number,
                           std::uint64_t version) {
    Command command;
    auto& settled = *command.mutable_settle_slots()->add_settled();
    settled.set_partition(partition);
    settled.set_slot(slot);
    settled.set_node(node_id(number));
    settled.set_version(version);
    return command;
}
// The slot of every partition.
inline Command settle_all(std::uint32_t slot, std::uint64_t number, std::uint64_t version) {
    Command command;
    for (std::uint32_t i = 0; i < base::partitions(); ++i) {
        *command.mutable_settle_slots()->add_settled() =
            settle_slot(i, slot, number, version).settle_slots().settled(0);
    }
    return command;
}
inline Command fill_slot_of(const std::string& blob, std::uint32_t slot, std::uint64_t number,
                            std::uint64_t version) {
    Command command;
    auto& filled = *command.mutable_fill_slots()->add_filled();
    filled.set_blob_id(blob);
    filled.set_slot(slot);
    filled.set_node(node_id(number));
    filled.set_version(version);
    return command;
}
// `by` takes the place of `blob`; not placed.
inline Command replace_blob(const std::string& blob, const std::string& by, std::uint64_t size,
                            std::uint64_t sealed_ms = kStart) {
    Command command;
    command.mutable_replace_blob()->set_blob_id(blob);
    add_new_blob(*command.mutable_replace_blob()->mutable_by(), by, size, sealed_ms);
    return command;
}
inline Command set_profile(const std::string& pinned) {
    Command command;
    command.mutable_set_profile()->set_pinned(pinned);
    return command;
}

// Every row, in order.
using Rows = std::map<std::string, std::string>;
inline Rows rows_of(const kv::Store& store) {
    Rows rows;
    const auto snapshot = store.snapshot();
    const auto it = snapshot->iterate();
    for (it->seek(""); it->valid(); it->next()) {
        rows.emplace(it->key(), it->value());
    }
    return rows;
}
inline Rows rows_of(const kv::Store& store, Table table) {
    Rows rows = rows_of(store);
    std::erase_if(
        rows, [table](const auto& row) { return row.first.front() != static_cast<char>(table); });
    return rows;
}

// A store of its own, a cluster clock and the next log index.
class Replica {
  public:
    Replica() { sim_.run(open(this)); }
    kv::Store& store() { return *store_; }
    View view() { return View(store_->snapshot()); }
    std::uint64_t now = kStart;

    // Stamps `command`, mints its request id when it has none, applies it.
    Answer apply(Command command) {
        command.set_stamp_ms(now);
        if (command.request_id().empty()) {
            const auto salt = as_id<base::RequestId>(id16('r', ++requests_));
            command.set_request_id(std::string(mint_request_id(now, salt).view()));
        }
        last = command;
        Staging staging(*store_);
        auto answer = meta::apply(staging, base::LogIndex{++index_}, command);
        EXPECT_TRUE(answer) << answer.error().context;
        EXPECT_TRUE(staging.write());
        return answer ? *answer : Answer{};
    }
    Answer::Status status(const Command& command) { return apply(command).status(); }
    std::uint64_t index() const { return index_; }
    Command last;  // as it was applied

  private:
    static runtime::Task<void> open(Replica* self) {
        auto store = co_await kv::open(&self->sim_.harness(), "store", kv::Options{});
        EXPECT_TRUE(store);
        self->store_ = std::move(*store);
    }

    runtime::sim::Simulator sim_{1};
    std::unique_ptr<kv::Store> store_;
    std::uint64_t index_ = 0;
    std::uint64_t requests_ = 0;
};

}  // namespace hamster::meta::testing
