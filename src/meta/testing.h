// What the tests of this room share: a store in a simulated world, and commands in one line each.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "kv/store.h"
#include "meta/apply.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "meta/view.h"
#include "runtime/sim/simulator.h"

namespace hamster::meta::testing {

using Answer = proto::Answer;
using Command = proto::Command;

inline constexpr std::uint64_t kStart = 1'700'000'000'000;  // ms since 1970
inline constexpr std::uint64_t kMiB = 1ULL << 20;

// An id whose bytes all differ from those of another (kind, number).
inline std::string id16(char kind, std::uint64_t number) {
    std::string out(8, kind);
    base::put_be64(out, number);
    return out;
}
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
