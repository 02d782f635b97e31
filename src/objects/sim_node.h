// For tests: the stores and the objects service of one simulated node, without a front door.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "meta/replica.h"
#include "objects/service.h"
#include "runtime/sim/simulator.h"
#include "shards/store.h"

namespace hamster::objects::testing {

inline constexpr std::uint64_t kGraceMs = 60'000;  // of garbage and of orphans

using runtime::Task;

// The byte at `offset` of the body number `seed`.
inline std::byte pattern(std::uint64_t seed, std::uint64_t offset) {
    const std::uint64_t word =
        (offset / 8 + 1) * 0x9E3779B97F4A7C15ULL ^ seed * 0xD6E8FEB86659FD93ULL;
    return static_cast<std::byte>(word >> (offset % 8 * 8) ^ word >> 59U);
}
inline std::string pattern_text(std::uint64_t seed, ByteRange range) {
    std::string text(range.length, '\0');
    for (std::uint64_t i = 0; i < range.length; ++i) {
        text[i] = static_cast<char>(pattern(seed, range.offset + i));
    }
    return text;
}

// A body of `size` bytes; fails with kInvalid instead of ending when `broken`.
class PatternSource final : public BodySource {
  public:
    PatternSource(std::uint64_t seed, std::uint64_t size, bool broken = false)
        : seed_(seed), size_(size), broken_(broken) {}
    Task<Result<std::size_t>> read(base::MutableBytes out) override {
        const std::uint64_t n = std::min<std::uint64_t>(out.size(), size_ - at_);
        if (n == 0 && broken_) co_return fail(Code::kInvalid, "the checksum is wrong");
        for (std::uint64_t i = 0; i < n; ++i) out[i] = pattern(seed_, at_ + i);
        at_ += n;
        co_return static_cast<std::size_t>(n);
    }

  private:
    std::uint64_t seed_;
    std::uint64_t size_;
    bool broken_;
    std::uint64_t at_ = 0;
};

struct SimNode {
    explicit SimNode(runtime::World* w, Options o) : world(w), options(o) {}
    runtime::World* world;
    Options options;
    base::Metrics metrics;
    std::unique_ptr<meta::Group> own_group;
    meta::Group* group = nullptr;  // set before open(): that of another node, shared
    std::unique_ptr<meta::Router> router;
    std::unique_ptr<shards::Store> shards;
    std::unique_ptr<Service> objects;
    base::BucketId bucket;
    std::uint64_t reserve_bytes = 0;  // of the shard store
    std::string dir;                  // in front of its paths, where nodes share a disk

    // Opens the stores; founds them and makes the bucket when they are new. False on an error,
    // which only an injected fault may cause.
    Task<bool> open() {
        shards::Options store;
        store.segment_bytes = 4U << 20U;
        store.small_segment_bytes = 1U << 20U;
        store.reserve_bytes = reserve_bytes;
        auto opened_shards = co_await shards::Store::open(world, dir + "shards", store, &metrics);
        if (!opened_shards) co_return false;
        shards = std::move(*opened_shards);
        if (group == nullptr) {
            proto::ClusterInfo info;
            info.set_cluster_id(std::string(16, 'c'));
            meta::GroupOptions meta_options;
            meta_options.wal_file_bytes = 1U << 20U;
            auto opened =
                co_await meta::open_group(world, dir + "meta", meta_options, &info, &metrics);
            if (!opened) co_return false;
            own_group = std::move(*opened);
            group = own_group.get();
        }
        router = std::make_unique<meta::Router>(group);
        objects = make_service(world, router.get(), shards.get(), options, &metrics);
        bucket.raw[0] = std::byte{7};
        proto::Command command;
        command.mutable_create_bucket()->set_name("bucket");
        command.mutable_create_bucket()->set_bucket_id(std::string(bucket.view()));
        command.mutable_create_bucket()->set_owner(std::string(16, '\0'));
        auto created = co_await group->propose(std::move(command));  // or exists already
        co_return created.has_value();
    }

    Task<void> close() {
        co_await objects->stop();
        co_await shards->stop();
        if (own_group) co_await own_group->stop();
    }

    Task<Result<StoredBody>> store(std::uint64_t seed, std::uint64_t size,
                                   std::optional<std::uint64_t> hint) {
        PatternSource source(seed, size);
        auto stored = co_await objects->store(&source, hint);
        co_return stored;
    }

    // One object made of the bodies given, in order. True once it is acknowledged.
    Task<Result<void>> commit(std::string key, std::vector<StoredBody> bodies) {
        proto::Command command;
        proto::PutObject* put = command.mutable_put_object();
        put->set_bucket_id(std::string(bucket.view()));
        put->set_key(key);
        std::uint64_t size = 0;
        std::uint32_t number = bodies.size() == 1 ? 0 : 1;
        for (const StoredBody& body : bodies) {
            proto::Part* part = put->mutable_version()->add_parts();
            part->set_number(number++);
            part->set_size(body.size);
            size += body.size;
            if (!body.blob) continue;
            part->set_blob_id(body.blob->blob_id());
            *put->add_new_blobs() = *body.blob;
        }
        put->mutable_version()->set_size(size);
        put->mutable_version()->set_etag("etag");
        auto answer = co_await group->propose(std::move(command));
        CO_TRY(answer);
        if (answer->status() != proto::Answer::OK) co_return fail(Code::kInvalid, answer->detail());
        co_return Result<void>{};
    }

    Task<Result<void>> put(std::string key, std::uint64_t seed, std::uint64_t size) {
        auto body = co_await store(seed, size, size);
        CO_TRY(body);
        std::vector<StoredBody> bodies;
        bodies.push_back(std::move(*body));
        auto committed = co_await commit(std::move(key), std::move(bodies));
        co_return committed;
    }

    Task<Result<void>> erase(std::string key) {
        proto::Command command;
        command.mutable_delete_object()->set_bucket_id(std::string(bucket.view()));
        command.mutable_delete_object()->set_key(key);
        auto answer = co_await group->propose(std::move(command));
        CO_TRY(answer);
        co_return Result<void>{};
    }

    Task<Result<std::unique_ptr<BodyReader>>> open_object(std::string key,
                                                          std::optional<ByteRange> range) {
        auto viewed = co_await group->view();
        CO_TRY_ASSIGN(const meta::View view, viewed);
        CO_TRY_ASSIGN(const auto version, view.newest(bucket, key));
        if (!version || version->delete_marker()) co_return fail(Code::kNotFound, key);
        std::vector<proto::Part> parts(version->parts().begin(), version->parts().end());
        const ByteRange wanted = range.value_or(ByteRange{0, version->size()});
        auto reader = co_await objects->open(view, std::move(parts), wanted);
        co_return reader;
    }

    Task<Result<std::string>> get(std::string key, std::optional<ByteRange> range) {
        auto opened = co_await open_object(std::move(key), range);
        CO_TRY_ASSIGN(const std::unique_ptr<BodyReader> reader, opened);
        std::string text;
        while (true) {
            auto next = co_await reader->next();
            CO_TRY_ASSIGN(const base::Buffer bytes, next);
            if (bytes.empty()) co_return text;
            text += base::as_text(bytes.bytes());
        }
    }
};

}  // namespace hamster::objects::testing
