#include "meta/view.h"

#include <gtest/gtest.h>

#include <set>

#include "meta/testing.h"
#include "runtime/world.h"

namespace hamster::meta {
namespace {

using namespace testing;

const std::string kOther = id16('c', 1);

template <class Entry>
std::vector<std::string> keys_of(const Page<Entry>& page) {
    std::vector<std::string> keys;
    keys.reserve(page.entries.size());
    for (const auto& entry : page.entries) {
        keys.push_back(entry.key);
    }
    return keys;
}
using Strings = std::vector<std::string>;

class ViewTest : public ::testing::Test {
  protected:
    ViewTest() {
        // Neighbours on both sides: a listing must not run over into them.
        for (const std::string& id : {id16('a', 1), kBucket, kOther}) {
            replica_.apply(create_bucket("bucket-" + std::to_string(++buckets_), id));
        }
        replica_.apply(put_object(id16('a', 1), "zz", "", 0));
        replica_.apply(put_object(kOther, "aa", "", 0));
    }
    void put(const Strings& keys) {
        for (const auto& key : keys) {
            EXPECT_EQ(replica_.status(put_object(kBucket, key, "", 0)), Answer::OK);
        }
    }
    Page<CurrentEntry> list(const ListQuery& query) {
        return *replica_.view().list_current(as_id<BucketId>(kBucket), query);
    }
    Page<VersionEntry> versions(const ListQuery& query,
                                std::optional<VersionId> after = std::nullopt) {
        return *replica_.view().list_versions(as_id<BucketId>(kBucket), query, after);
    }
    // A version as it will be stored once versioning arrives.
    void write_version(const std::string& key, const VersionId& id, const VersionId& order,
                       bool noncurrent = false) {
        proto::Version version;
        version.set_version_id(std::string(id.view()));
        if (id.is_zero()) version.set_order(std::string(order.view()));
        version.set_noncurrent(noncurrent);
        version.set_etag(order.hex());
        const auto batch = replica_.store().batch();
        batch->put(version_row(as_id<BucketId>(kBucket), key, id), version.SerializeAsString());
        EXPECT_TRUE(replica_.store().write(*batch));
    }
    Replica replica_;
    int buckets_ = 0;
};

TEST_F(ViewTest, KeysComeInByteOrder) {
    const Strings keys = {"a",       std::string("a\0", 2), "a/", "a//b", "a/b", "a/b/c", "ab",
                          "\xC3\xA9"};
    put(Strings(keys.rbegin(), keys.rend()));
    const auto page = list({});
    EXPECT_EQ(keys_of(page), keys);
    EXPECT_FALSE(page.truncated);
    EXPECT_EQ(keys_of(versions({})), keys);
}

TEST_F(ViewTest, DelimitersRollUp) {
    put({"a", "a/b", "a/c/d", "b/x", "b/y", "c", "c--d--e", "c--f"});
    ListQuery query;
    query.delimiter = "/";
    auto page = list(query);
    EXPECT_EQ(keys_of(page), (Strings{"a", "c", "c--d--e", "c--f"}));
    EXPECT_EQ(page.prefixes, (Strings{"a/", "b/"}));
    query.prefix = "a/";
    page = list(query);
    EXPECT_EQ(keys_of(page), Strings{"a/b"});
    EXPECT_EQ(page.prefixes, Strings{"a/c/"});
    query.prefix = "c";
    query.delimiter = "--";
    page = list(query);
    EXPECT_EQ(keys_of(page), Strings{"c"});
    EXPECT_EQ(page.prefixes, Strings{"c--"});
    EXPECT_EQ(versions(query).prefixes, Strings{"c--"});
}

TEST_F(ViewTest, AfterIsExclusiveAndMaySkipAPrefix) {
    put({"a", "a/b", "a/c", "b", "c"});
    ListQuery query;
    query.after = "a/b";
    EXPECT_EQ(keys_of(list(query)), (Strings{"a/c", "b", "c"}));
    EXPECT_EQ(keys_of(versions(query)), (Strings{"a/c", "b", "c"}));
    query.after = "a/";
    query.after_is_prefix = true;
    EXPECT_EQ(keys_of(list(query)), (Strings{"b", "c"}));
    EXPECT_EQ(keys_of(versions(query)), (Strings{"b", "c"}));
    query.prefix = "a";
    EXPECT_TRUE(list(query).entries.empty());
    query = {};
    query.limit = 0;
    EXPECT_FALSE(list(query).truncated);
    query.limit = 5;
    EXPECT_FALSE(list(query).truncated);
    query.limit = 4;
    EXPECT_TRUE(list(query).truncated);
    EXPECT_EQ(list(query).last, "b");
}

// Page after page gives what one page gives, for every page size.
template <class List>
std::pair<Strings, Strings> walk(std::size_t limit, ListQuery query, List list) {
    Strings keys;
    Strings prefixes;
    query.limit = limit;
    for (bool more = true; more;) {
        const auto page = list(query);
        EXPECT_LE(page.entries.size() + page.prefixes.size(), limit);
        for (const auto& entry : page.entries) {
            keys.push_back(entry.key);
        }
        prefixes.insert(prefixes.end(), page.prefixes.begin(), page.prefixes.end());
        more = page.truncated;
        query.after = page.last;
        query.after_is_prefix = page.last_is_prefix;
    }
    return {keys, prefixes};
}

TEST_F(ViewTest, PagesNeitherSkipNorRepeat) {
    put({"a", std::string("a\0", 2), "a/1", "a/2", "b", "b/", "b//", "b/1/2", "c", "d/x", "e\xFF"});
    for (const char* delimiter : {"", "/", "/1", "//"}) {
        for (const char* prefix : {"", "a", "b/"}) {
            ListQuery query;
            query.delimiter = delimiter;
            query.prefix = prefix;
            const auto all = list(query);
            for (std::size_t limit = 1; limit < 5; ++limit) {
                const auto want = std::pair(keys_of(all), all.prefixes);
                EXPECT_EQ(walk(limit, query, [&](const ListQuery& q) { return list(q); }), want);
                EXPECT_EQ(walk(limit, query, [&](const ListQuery& q) { return versions(q); }),
                          want);
            }
        }
    }
}

TEST_F(ViewTest, NullVersionsStandWhereTheirTimeSays) {
    const auto at = [](std::uint64_t index) { return commit_order_id(kStart, {index}); };
    const VersionId null;
    write_version("k", at(10), at(10));
    write_version("k", null, at(20), true);
    write_version("k", at(30), at(30));
    write_version("l", at(11), at(11));
    write_version("l", null, at(22), false);  // the newest
    write_version("m", at(12), at(12));
    Strings want;
    const auto all = versions({});
    for (const auto& entry : all.entries) {
        want.push_back(entry.key + (entry.is_latest ? "*" : "") + entry.version.etag());
    }
    EXPECT_EQ(want, (Strings{"k*" + at(30).hex(), "k" + at(20).hex(), "k" + at(10).hex(),
                             "l*" + at(22).hex(), "l" + at(11).hex(), "m*" + at(12).hex()}));
    const auto bucket = as_id<BucketId>(kBucket);
    EXPECT_EQ((*replica_.view().newest(bucket, "k"))->etag(), at(30).hex());
    EXPECT_EQ((*replica_.view().newest(bucket, "l"))->etag(), at(22).hex());
    EXPECT_EQ((*replica_.view().newest(bucket, "m"))->etag(), at(12).hex());
    EXPECT_EQ((*replica_.view().version(bucket, "k", null))->etag(), at(20).hex());
    EXPECT_FALSE(*replica_.view().newest(bucket, "none"));

    for (std::size_t limit = 1; limit < 4; ++limit) {
        Strings got;
        ListQuery query;
        query.limit = limit;
        std::optional<VersionId> after;
        for (bool more = true; more;) {
            const auto page = versions(query, after);
            for (const auto& entry : page.entries) {
                got.push_back(entry.key + (entry.is_latest ? "*" : "") + entry.version.etag());
            }
            more = page.truncated;
            query.after = page.last;
            after = as_id<VersionId>(page.entries.back().version.version_id());
        }
        EXPECT_EQ(got, want) << limit;
    }
}

TEST_F(ViewTest, UploadsAreListedByKeyThenInitiation) {
    for (const auto& [key, number] : std::vector<std::pair<std::string, std::uint64_t>>{
             {"b", 3}, {"a", 2}, {"b", 1}, {"c/d", 4}}) {
        replica_.apply(create_upload(kBucket, key, id16('u', number)));
    }
    const auto bucket = as_id<BucketId>(kBucket);
    ListQuery query;
    query.delimiter = "/";
    query.limit = 2;
    auto page = *replica_.view().list_uploads(bucket, query, std::nullopt);
    EXPECT_EQ(keys_of(page), (Strings{"a", "b"}));
    EXPECT_EQ(page.entries[1].upload.upload_id(), id16('u', 1));
    EXPECT_TRUE(page.truncated);
    query.after = page.last;
    page = *replica_.view().list_uploads(bucket, query,
                                         as_id<UploadId>(page.entries[1].upload.upload_id()));
    EXPECT_EQ(keys_of(page), Strings{"b"});
    EXPECT_EQ(page.entries[0].upload.upload_id(), id16('u', 3));
    EXPECT_EQ(page.prefixes, Strings{"c/"});
    EXPECT_FALSE(page.truncated);
    page = *replica_.view().list_uploads(bucket, query, std::nullopt);
    EXPECT_TRUE(page.entries.empty());  // without an upload id all of the key is behind us
    EXPECT_TRUE(*replica_.view().upload(bucket, "a", as_id<UploadId>(id16('u', 2))));
}

TEST_F(ViewTest, PartsBucketsAndUsers) {
    replica_.apply(create_upload(kBucket, "k", id16('u', 1)));
    for (std::uint32_t number : {1U, 2U, 10'000U}) {
        replica_.apply(put_part(kBucket, "k", id16('u', 1), number, "", 0));
    }
    const auto parts = *replica_.view().parts(as_id<UploadId>(id16('u', 1)), 1, 9);
    ASSERT_EQ(parts.size(), 2U);
    EXPECT_EQ(parts[1].number(), 10'000U);
    EXPECT_TRUE(replica_.view().parts(as_id<UploadId>(id16('u', 1)), UINT32_MAX, 9)->empty());

    replica_.apply(put_user(id16('U', 1), "ada"));
    replica_.apply(create_bucket("bucket-9", id16('b', 9), id16('U', 1)));
    replica_.apply(create_bucket("attic", id16('b', 8), id16('U', 1)));
    const auto names = [&](std::optional<UserId> owner, const char* prefix, const char* after) {
        Strings out;
        const View view = replica_.view();
        const auto found = view.buckets(owner, prefix, after, 3);
        for (const auto& bucket : *found) {
            out.push_back(bucket.name());
        }
        return out;
    };
    EXPECT_EQ(names(std::nullopt, "", ""), (Strings{"attic", "bucket-1", "bucket-2"}));
    EXPECT_EQ(names(std::nullopt, "b", "bucket-1"), (Strings{"bucket-2", "bucket-3", "bucket-9"}));
    EXPECT_EQ(names(as_id<UserId>(id16('U', 1)), "", ""), (Strings{"attic", "bucket-9"}));
    EXPECT_EQ(names(as_id<UserId>(id16('U', 1)), "b", ""), Strings{"bucket-9"});
    EXPECT_EQ(names(UserId{}, "", "bucket-1"), (Strings{"bucket-2", "bucket-3"}));
    EXPECT_EQ((*replica_.view().bucket("attic"))->bucket_id(), id16('b', 8));
    EXPECT_EQ(replica_.view().counters(BucketId{}).error().code, Code::kNotFound);
    EXPECT_EQ(replica_.view().cluster().error().code, Code::kNotFound);
}

TEST_F(ViewTest, AViewIsOnePointInTime) {
    put({"a", "b"});
    const View before = replica_.view();
    replica_.apply(delete_object(kBucket, "a"));
    put({"c"});
    EXPECT_EQ(keys_of(*before.list_current(as_id<BucketId>(kBucket), {})), (Strings{"a", "b"}));
    EXPECT_EQ(keys_of(list({})), (Strings{"b", "c"}));
}

}  // namespace
}  // namespace hamster::meta
