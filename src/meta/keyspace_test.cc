#include "meta/keyspace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/encoding.h"

namespace hamster::meta {
namespace {

std::string hex(std::string_view bytes) { return base::hex_encode(base::as_bytes(bytes)); }

BucketId bucket_of(unsigned char fill) {
    BucketId id;
    id.raw.fill(std::byte{fill});
    return id;
}

const std::vector<std::string> kAwkward = {"",
                                           std::string("\0", 1),
                                           std::string("\0\0", 2),
                                           std::string("\0\x01", 2),
                                           std::string("\0\xFF", 2),
                                           "\x01",
                                           "a",
                                           std::string("a\0", 2),
                                           std::string("a\0b", 3),
                                           "a\x01",
                                           "a/b",
                                           "a/b/c",
                                           "ab",
                                           "\xC3\xA9",
                                           "\xFF",
                                           "\xFF\xFF"};

TEST(Keyspace, EscapeKeepsOrderAndComesBack) {
    for (const std::string& a : kAwkward) {
        const std::string escaped = escape_key(a);
        const std::string behind = escaped + "id";
        std::string_view row = behind;
        EXPECT_EQ(unescape_key(row), a);
        EXPECT_EQ(row, "id");
        for (const std::string& b : kAwkward) {
            // Whatever follows: no key's rows lie among another's.
            EXPECT_EQ(a < b, escape_key(a) + '\xFF' < escape_key(b)) << hex(a) << " " << hex(b);
            EXPECT_EQ(b.starts_with(a), escape_key(b).starts_with(escape_prefix(a)))
                << hex(a) << " " << hex(b);
        }
    }
}

TEST(Keyspace, MalformedEscapesAreRefused) {
    for (const std::string& bad :
         {std::string("a"), std::string("a\0", 2), std::string("a\0\x02", 3)}) {
        std::string_view row = bad;
        EXPECT_FALSE(unescape_key(row)) << hex(bad);
    }
}

TEST(Keyspace, CommitOrderIdsAreUuidsInCommitOrder) {
    const auto first = commit_order_id(0x0123456789AB, {0xFEDCBA9876543210});
    EXPECT_EQ(first.hex(), "0123456789ab7fedb2ea61d950c84000");
    EXPECT_LT(commit_order_id(5, {9}), commit_order_id(5, {10}));
    EXPECT_LT(commit_order_id(5, {1ULL << 52}), commit_order_id(5, {(1ULL << 52) + 1}));
    EXPECT_LT(commit_order_id(5, {(1ULL << 52) - 1}), commit_order_id(5, {1ULL << 52}));
    EXPECT_LT(commit_order_id(5, {UINT64_MAX}), commit_order_id(6, {1}));
    EXPECT_EQ(uuid_ms(first.view()), 0x0123456789ABU);
}

TEST(Keyspace, VersionsOfAKeyAreNewestFirstAndNullLast) {
    const auto bucket = bucket_of(1);
    const auto older = version_row(bucket, "k", commit_order_id(5, {1}));
    const auto newer = version_row(bucket, "k", commit_order_id(5, {2}));
    const auto null = version_row(bucket, "k", VersionId{});
    EXPECT_LT(newer, older);
    EXPECT_LT(older, null);
    EXPECT_LT(null, after_prefix(version_prefix(bucket, "k")));
    EXPECT_LT(null, version_row(bucket, std::string("k\0", 2), commit_order_id(9, {9})));
}

TEST(Keyspace, AfterPrefix) {
    EXPECT_EQ(after_prefix("ab"), "ac");
    EXPECT_EQ(after_prefix("a\xFF\xFF"), "b");
    EXPECT_EQ(after_prefix("\xFF"), "");
}

// Rows of version 1 of the format. A change here is a change of the format.
TEST(Keyspace, GoldenRows) {
    const std::string id = "000102030405060708090a0b0c0d0e0f";
    const auto bucket = *BucketId::from_hex(id);
    const auto upload = *UploadId::from_hex(id);
    const auto blob = *BlobId::from_hex("abcd02030405060708090a0b0c0d0e0f");
    const auto user = *UserId::from_hex(id);
    const auto request = *base::RequestId::from_hex(id);
    const std::string key("k\0z", 3);
    EXPECT_EQ(hex(bucket_row("bkt")), "62626b74");
    EXPECT_EQ(hex(bucket_id_row(bucket)), "69" + id);
    EXPECT_EQ(hex(bucket_owner_row(user, "bkt")), "6f" + id + "626b74");
    EXPECT_EQ(hex(bucket_counters_row(bucket)), "6e" + id);
    EXPECT_EQ(hex(version_row(bucket, key, *VersionId::from_hex(id))),
              "76" + id + "6b00ff7a0001" + "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0");
    EXPECT_EQ(hex(version_row(bucket, key, VersionId{})),
              "76" + id + "6b00ff7a0001" + std::string(32, 'f'));
    EXPECT_EQ(hex(current_row(bucket, key)), "63" + id + "6b007a");
    EXPECT_EQ(hex(upload_row(bucket, key, upload)), "75" + id + "6b00ff7a0001" + id);
    EXPECT_EQ(hex(upload_id_row(upload)), "78" + id);
    EXPECT_EQ(hex(part_row(upload, 258)), "70" + id + "00000102");
    EXPECT_EQ(hex(finished_upload_row(upload)), "66" + id);
    EXPECT_EQ(hex(finished_time_row(0x1122, upload)), "460000000000001122" + id);
    EXPECT_EQ(hex(blob_row(blob)), "420abc" + blob.hex());
    EXPECT_EQ(hex(garbage_row(blob)), "670abc" + blob.hex());
    EXPECT_EQ(hex(degraded_row(blob)), "440abc" + blob.hex());
    EXPECT_EQ(hex(alias_row(blob)), "410abc" + blob.hex());
    EXPECT_EQ(hex(layout_row(0xabc)), "4c0abc");
    EXPECT_EQ(hex(blobs_of_partition(0xabc)), "420abc");
    EXPECT_EQ(hex(geometry_row({4, 2})), "4700040002");
    EXPECT_EQ(hex(user_row(user)), "55" + id);
    EXPECT_EQ(hex(user_name_row("ada")), "77616461");
    EXPECT_EQ(hex(credential_row("AK")), "6b414b");
    EXPECT_EQ(hex(request_row(request)), "72" + id);
    EXPECT_EQ(hex(requests_since(0x0102030405)), "72000102030405");
    EXPECT_EQ(hex(system_row("applied")), "736170706c696564");
    const auto node = *NodeId::from_hex(id);
    EXPECT_EQ(hex(node_row(node)), "4e" + id);
    EXPECT_EQ(hex(node_name_row("n1")), "6d6e31");
    EXPECT_EQ(hex(removed_node_row(node)), "52" + id);
    EXPECT_EQ(hex(blobs_held_row(node)), "68" + id);
    EXPECT_EQ(hex(token_row(*TokenId::from_hex(id))), "6a" + id);
    EXPECT_EQ(hex(system_row("trust")), "737472757374");
    EXPECT_EQ(hex(system_row("membership")), "736d656d62657273686970");
    EXPECT_EQ(hex(system_row("layout")), "736c61796f7574");
}

}  // namespace
}  // namespace hamster::meta
