#include <functional>

#include "meta/apply_cluster_rules.h"
#include "meta/testing.h"

namespace hamster::meta {
namespace {

using namespace testing;

constexpr std::uint64_t kDay = 86'400'000;  // ms

class ClusterTest : public ::testing::Test {
  protected:
    ClusterTest() { EXPECT_EQ(replica_.status(create_bucket("photos", kBucket)), Answer::OK); }
    void found() { ASSERT_EQ(replica_.status(found_trust()), Answer::OK); }
    void admit(std::uint64_t number) {
        ASSERT_EQ(replica_.status(put_token(number, replica_.now + kDay)), Answer::OK);
        ASSERT_EQ(replica_.status(admit_node(number, node(number))), Answer::OK);
    }
    std::optional<proto::Node> member(std::uint64_t number) {
        return *replica_.view().node(as_id<NodeId>(node_id(number)));
    }
    std::uint64_t held(std::uint64_t number) {
        return *replica_.view().blobs_held(as_id<NodeId>(node_id(number)));
    }
    std::string used_by(std::uint64_t token) {
        return (*replica_.view().token(as_id<TokenId>(token_id(token))))->used_by();
    }
    Answer::Status drop(const std::string& blob) {
        Command command;
        command.mutable_drop_garbage()->add_blob_ids(blob);
        command.mutable_drop_garbage()->add_blob_ids(blob);
        return replica_.status(command);
    }
    Replica replica_;
};

TEST_F(ClusterTest, TrustIsFoundedOnceWithItsFirstMember) {
    EXPECT_FALSE(*replica_.view().trust());
    found();
    EXPECT_EQ((*replica_.view().trust())->founder(), node_id(1));
    EXPECT_EQ((*replica_.view().trust())->ca_certificate(), "certificate");
    EXPECT_EQ(member(1)->joined_ms(), kStart);
    EXPECT_EQ((*replica_.view().node_by_name("n1"))->node_id(), node_id(1));
    EXPECT_EQ(replica_.status(found_trust(2)), Answer::TRUST_EXISTS);
    EXPECT_FALSE(member(2));
}

TEST_F(ClusterTest, MalformedTrustIsRefused) {
    const auto refused = [this](const std::function<void(proto::FoundTrust&)>& spoil) {
        Command command = found_trust();
        spoil(*command.mutable_found_trust());
        EXPECT_EQ(replica_.status(command), Answer::INVALID_REQUEST) << command.ShortDebugString();
    };
    refused([](auto& c) { c.mutable_trust()->clear_ca_certificate(); });
    refused([](auto& c) { c.mutable_trust()->set_ca_certificate(std::string(4097, 'c')); });
    refused([](auto& c) { c.mutable_trust()->clear_sealed_ca_key(); });
    refused([](auto& c) {
        c.mutable_trust()->set_sealed_ca_key(std::string(kMaxSealedKeyBytes + 1, 'k'));
    });
    refused([](auto& c) { c.mutable_trust()->set_founder(node_id(2)); });
    refused([](auto& c) {
        c.mutable_trust()->clear_founder();
        c.mutable_founder()->clear_node_id();
    });
    refused([](auto& c) {
        c.mutable_trust()->set_founder(kRoot);
        c.mutable_founder()->set_node_id(kRoot);
    });
    refused([](auto& c) { c.mutable_founder()->set_public_key("short"); });
    refused([](auto& c) { c.mutable_founder()->clear_name(); });
    EXPECT_TRUE(rows_of(replica_.store(), Table::kNode).empty());
}

TEST_F(ClusterTest, ATokenAdmitsOneNode) {
    EXPECT_EQ(replica_.status(put_token(1)), Answer::INVALID_REQUEST);  // no CA yet
    found();
    EXPECT_EQ(replica_.status(put_token(1)), Answer::OK);
    proto::Node newcomer = node(2);
    newcomer.set_leaving(true);
    newcomer.set_joined_ms(7);
    newcomer.set_token_id("another");
    replica_.now += 10;
    EXPECT_EQ(replica_.status(admit_node(1, newcomer)), Answer::OK);
    EXPECT_EQ(member(2)->joined_ms(), kStart + 10);
    EXPECT_EQ(member(2)->token_id(), token_id(1));
    EXPECT_FALSE(member(2)->leaving());
    EXPECT_EQ(used_by(1), node_id(2));
    EXPECT_EQ(replica_.view().nodes()->size(), 2U);
    EXPECT_EQ(replica_.status(admit_node(1, node(3))), Answer::TOKEN_USED);
    replica_.now += 2 * kDay;
    EXPECT_EQ(replica_.status(admit_node(1, node(3))), Answer::TOKEN_USED);
}

TEST_F(ClusterTest, MalformedTokensAreRefused) {
    found();
    const auto refused = [this](const std::function<void(proto::JoinToken&)>& spoil) {
        Command command = put_token(1);
        spoil(*command.mutable_put_token()->mutable_token());
        EXPECT_EQ(replica_.status(command), Answer::INVALID_REQUEST) << command.ShortDebugString();
    };
    refused([](auto& token) { token.set_token_id("short"); });
    refused([](auto& token) { token.set_secret_hash("short"); });
    refused([](auto& token) { token.set_used_by(node_id(1)); });
    refused([](auto& token) { token.set_expires_ms(kStart); });
    EXPECT_EQ(replica_.status(put_token(1)), Answer::OK);
    EXPECT_EQ(replica_.status(put_token(1)), Answer::INVALID_REQUEST);  // taken
}

TEST_F(ClusterTest, ARefusedJoinDoesNotUseUpTheToken) {
    found();
    EXPECT_EQ(replica_.status(admit_node(1, node(2))), Answer::NO_SUCH_TOKEN);
    replica_.apply(put_token(1));
    Command wrong = admit_node(1, node(2));
    const std::string unknown = replica_.apply(admit_node(2, node(2))).detail();
    wrong.mutable_admit_node()->set_secret_hash(secret_hash(9));
    EXPECT_EQ(replica_.status(wrong), Answer::NO_SUCH_TOKEN);
    EXPECT_EQ(replica_.apply(wrong).detail(), unknown);  // tells nothing
    wrong.mutable_admit_node()->clear_secret_hash();
    EXPECT_EQ(replica_.status(wrong), Answer::NO_SUCH_TOKEN);
    wrong.mutable_admit_node()->set_token_id("short");
    EXPECT_EQ(replica_.status(wrong), Answer::NO_SUCH_TOKEN);

    EXPECT_EQ(replica_.status(admit_node(1, node(1))), Answer::NODE_EXISTS);
    proto::Node other = node(2);
    other.set_name("n1");
    EXPECT_EQ(replica_.status(admit_node(1, other)), Answer::NODE_EXISTS);
    other = node(2);
    other.set_node_id("short");
    EXPECT_EQ(replica_.status(admit_node(1, other)), Answer::INVALID_REQUEST);
    other.set_node_id(kRoot);
    EXPECT_EQ(replica_.status(admit_node(1, other)), Answer::INVALID_REQUEST);
    EXPECT_EQ(used_by(1), "");
    replica_.now = kStart + kDay;
    EXPECT_EQ(replica_.status(admit_node(1, node(2))), Answer::TOKEN_EXPIRED);
    replica_.now -= 1;  // cluster time does not go back
    EXPECT_EQ(replica_.status(admit_node(1, node(2))), Answer::TOKEN_EXPIRED);
    EXPECT_FALSE(member(2));
    admit(2);
}

TEST_F(ClusterTest, TheSameNodeMayRepeatItsJoin) {
    found();
    admit(2);
    replica_.now += 2 * kDay;  // the token has expired meanwhile
    proto::Node again = node(2);
    again.set_name("renamed");
    again.set_address("[::1]:9");
    again.set_leaving(true);
    EXPECT_EQ(replica_.status(admit_node(2, again)), Answer::OK);
    EXPECT_EQ(member(2)->name(), "renamed");
    EXPECT_EQ(member(2)->address(), "[::1]:9");
    EXPECT_EQ(member(2)->joined_ms(), kStart);
    EXPECT_FALSE(member(2)->leaving());
    EXPECT_FALSE(*replica_.view().node_by_name("n2"));
    again.set_public_key(std::string(32, 'k'));
    EXPECT_EQ(replica_.status(admit_node(2, again)), Answer::NODE_EXISTS);
    replica_.apply(put_token(3, replica_.now + kDay));
    EXPECT_EQ(replica_.status(admit_node(3, node(2))), Answer::NODE_EXISTS);  // another token
    EXPECT_EQ(used_by(3), "");
    again = node(2);
    again.clear_address();
    EXPECT_EQ(replica_.status(admit_node(2, again)), Answer::INVALID_REQUEST);
}

TEST_F(ClusterTest, AtMostAThousandTokensExpiredOnesGoFirst) {
    found();
    for (std::uint64_t i = 1; i <= kMaxTokens; ++i) {
        ASSERT_EQ(replica_.status(put_token(i, kStart + (i == 7 ? 1000 : kDay))), Answer::OK);
    }
    ASSERT_EQ(replica_.status(put_token(5000)), Answer::INVALID_REQUEST);
    ASSERT_EQ(replica_.status(admit_node(8, node(2))), Answer::OK);
    replica_.now += 1000;
    EXPECT_EQ(replica_.status(admit_node(7, node(3))), Answer::TOKEN_EXPIRED);
    EXPECT_EQ(replica_.status(put_token(5000)), Answer::OK);
    EXPECT_EQ(replica_.status(admit_node(7, node(3))), Answer::NO_SUCH_TOKEN);
    EXPECT_EQ(replica_.view().tokens()->size(), kMaxTokens);
    EXPECT_EQ(used_by(8), node_id(2));
    EXPECT_EQ(replica_.status(put_token(5001)), Answer::OK);  // the used one went
    EXPECT_FALSE(*replica_.view().token(as_id<TokenId>(token_id(8))));
    EXPECT_EQ(replica_.status(put_token(5002)), Answer::INVALID_REQUEST);
}

TEST_F(ClusterTest, AtMostAThousandMembers) {
    found();
    for (std::uint64_t i = 2; i <= kMaxNodes; ++i) {
        ASSERT_NO_FATAL_FAILURE(admit(i));
    }
    replica_.apply(put_token(5000));
    EXPECT_EQ(replica_.status(admit_node(5000, node(5000))), Answer::INVALID_REQUEST);
    EXPECT_EQ(replica_.status(remove_node(9)), Answer::OK);
    EXPECT_EQ(replica_.status(admit_node(5000, node(5000))), Answer::OK);
}

TEST_F(ClusterTest, AMemberSaysWhatItIs) {
    found();
    admit(2);
    proto::Node said = node(2);
    said.set_name("two");
    said.set_host("rack7");
    said.set_zone("");
    said.set_capacity_bytes(5);
    said.set_address("two.example:7946");
    said.set_version("0.2.0");
    said.set_s3_address("[2001:db8::2]:9000");
    said.set_public_key("not to be believed");
    said.set_token_id("nor this");
    said.set_joined_ms(1);
    said.set_leaving(true);
    EXPECT_EQ(replica_.status(update_node(said)), Answer::OK);
    proto::Node expected = said;
    expected.set_public_key(node(2).public_key());
    expected.set_token_id(token_id(2));
    expected.set_joined_ms(kStart);
    expected.set_leaving(false);
    EXPECT_EQ(member(2)->SerializeAsString(), expected.SerializeAsString());
    EXPECT_EQ((*replica_.view().node_by_name("two"))->node_id(), node_id(2));
    EXPECT_FALSE(*replica_.view().node_by_name("n2"));
    said.set_name("n1");
    EXPECT_EQ(replica_.status(update_node(said)), Answer::NODE_EXISTS);
    EXPECT_EQ(replica_.status(update_node(node(3))), Answer::NO_SUCH_NODE);
    said.set_node_id("short");
    EXPECT_EQ(replica_.status(update_node(said)), Answer::INVALID_REQUEST);
    said = node(2);
    said.set_zone("a b");
    EXPECT_EQ(replica_.status(update_node(said)), Answer::INVALID_REQUEST);
}

TEST(ClusterRules, WhatANodeMaySay) {
    EXPECT_FALSE(flaw_of(node(1)));
    const auto flawed = [](const std::function<void(proto::Node&)>& spoil) {
        proto::Node said = node(1);
        spoil(said);
        EXPECT_TRUE(flaw_of(said)) << said.ShortDebugString();
    };
    flawed([](auto& n) { n.set_name(""); });
    flawed([](auto& n) { n.set_name(std::string(64, 'n')); });
    flawed([](auto& n) { n.set_name("a/b"); });
    flawed([](auto& n) { n.set_zone(std::string(64, 'z')); });
    flawed([](auto& n) { n.set_host(std::string(256, 'h')); });
    flawed([](auto& n) { n.set_host("two\nlines"); });
    flawed([](auto& n) { n.set_version(std::string(65, 'v')); });
    flawed([](auto& n) { n.set_address(""); });
    flawed([](auto& n) { n.set_s3_address("9000"); });
    EXPECT_TRUE(is_label(std::string(63, 'n')));
    for (const char* good : {"127.0.0.1:7946", "h:1", "[::1]:65535", "a-b.c_d:80"}) {
        EXPECT_TRUE(is_address(good)) << good;
    }
    for (const char* bad : {"", ":1", "h:", "h:0", "h:65536", "h:+1", "h 1:2", "::1:80", "[]:80",
                            "[1234]:80", "[::1:80", "[::g]:80", "h:80:", "[::1]80"}) {
        EXPECT_FALSE(is_address(bad)) << bad;
    }
    EXPECT_FALSE(is_address(std::string(kMaxAddressBytes, 'h') + ":1"));
}

TEST_F(ClusterTest, ARemovedNodeNeverReturns) {
    found();
    EXPECT_EQ(replica_.status(remove_node(1)), Answer::INVALID_REQUEST);  // the last one
    admit(2);
    EXPECT_EQ(replica_.status(remove_node(3)), Answer::NO_SUCH_NODE);
    replica_.now += 5;
    EXPECT_EQ(replica_.status(remove_node(2)), Answer::OK);
    EXPECT_EQ(replica_.status(remove_node(2)), Answer::OK);
    EXPECT_FALSE(member(2));
    EXPECT_FALSE(*replica_.view().node_by_name("n2"));
    EXPECT_TRUE(*replica_.view().is_removed(as_id<NodeId>(node_id(2))));
    EXPECT_FALSE(*replica_.view().is_removed(as_id<NodeId>(node_id(1))));
    const auto removed = *replica_.view().removed_nodes();
    ASSERT_EQ(removed.size(), 1U);
    EXPECT_EQ(removed[0].id.view(), node_id(2));
    EXPECT_EQ(removed[0].node.name(), "n2");
    EXPECT_EQ(removed[0].node.removed_ms(), kStart + 5);
    EXPECT_EQ(replica_.status(admit_node(2, node(2))), Answer::NODE_REMOVED);
    replica_.apply(put_token(3));
    EXPECT_EQ(replica_.status(admit_node(3, node(2))), Answer::NODE_REMOVED);
    EXPECT_EQ(replica_.status(update_node(node(2))), Answer::NODE_REMOVED);
    EXPECT_EQ(replica_.status(set_leaving(2)), Answer::NODE_REMOVED);
    proto::Node heir = node(3);
    heir.set_name("n2");
    EXPECT_EQ(replica_.status(admit_node(3, heir)), Answer::OK);  // the name is free again
    Command malformed;
    malformed.mutable_remove_node()->set_node_id("short");
    EXPECT_EQ(replica_.status(malformed), Answer::INVALID_REQUEST);
}

TEST_F(ClusterTest, ANodeIsRemovedOnlyWhenItHoldsNothing) {
    found();
    admit(2);
    EXPECT_EQ(replica_.status(on_node(put_object(kBucket, "k", kBlob1, 3), 2)), Answer::OK);
    EXPECT_EQ(replica_.status(copy_object(kBucket, "l", kBlob1, 3)), Answer::OK);
    EXPECT_EQ(replica_.status(put_object(kBucket, "m", kBlob2, 3)), Answer::OK);  // the founder's
    EXPECT_EQ(held(2), 1U);
    EXPECT_EQ(held(1), 1U);
    EXPECT_EQ(replica_.apply(remove_node(2)).detail(), "node n2 still holds objects");
    replica_.apply(delete_object(kBucket, "k"));
    EXPECT_EQ(drop(kBlob1), Answer::OK);  // it is live: nothing happens
    replica_.apply(delete_object(kBucket, "l"));
    EXPECT_EQ(held(2), 1U);
    EXPECT_EQ(replica_.status(remove_node(2)), Answer::NODE_NOT_EMPTY);  // garbage counts
    EXPECT_EQ(drop(kBlob1), Answer::OK);
    EXPECT_EQ(held(2), 0U);
    EXPECT_EQ(drop(kBlob1), Answer::OK);
    EXPECT_EQ(replica_.status(remove_node(2)), Answer::OK);
    EXPECT_EQ(rows_of(replica_.store(), Table::kBlobsHeld).size(), 1U);
}

TEST_F(ClusterTest, TheFounderCanGoWhenItIsEmpty) {
    replica_.apply(put_object(kBucket, "k", kBlob1, 3));  // before anybody was counted
    found();
    admit(2);
    EXPECT_EQ(held(1), 1U);
    EXPECT_EQ(replica_.status(remove_node(1)), Answer::NODE_NOT_EMPTY);
    replica_.apply(delete_object(kBucket, "k"));
    drop(kBlob1);
    EXPECT_EQ(held(1), 0U);
    EXPECT_EQ(replica_.status(remove_node(1)), Answer::OK);
    EXPECT_EQ(replica_.status(put_object(kBucket, "k", kBlob2, 3)), Answer::NODE_LEAVING);
    EXPECT_EQ(replica_.status(on_node(put_object(kBucket, "k", kBlob2, 3), 1)),
              Answer::NODE_LEAVING);
    EXPECT_EQ(replica_.status(on_node(put_object(kBucket, "k", kBlob2, 3), 2)), Answer::OK);
}

TEST_F(ClusterTest, AnOlderStoreIsCountedWhenTheTrustIsFounded) {
    const std::uint64_t count = kBlobScanRows + 5;
    for (std::uint64_t i = 0; i < count; ++i) {
        replica_.apply(put_object(kBucket, "k" + std::to_string(i), id16('x', i), 3));
    }
    for (std::uint64_t i = 0; i < 10; ++i) {
        replica_.apply(delete_object(kBucket, "k" + std::to_string(i)));
    }
    drop(id16('x', 0));
    EXPECT_TRUE(rows_of(replica_.store(), Table::kBlobsHeld).empty());
    found();
    EXPECT_EQ(held(1), count - 1);
}

TEST_F(ClusterTest, ALeavingNodeTakesNothingNew) {
    found();
    EXPECT_EQ(replica_.status(on_node(put_object(kBucket, "k", kBlob1, 3), 2)),
              Answer::NODE_LEAVING);  // nobody's
    admit(2);
    EXPECT_EQ(replica_.status(on_node(put_object(kBucket, "k", kBlob1, 3), 2)), Answer::OK);
    EXPECT_EQ(replica_.status(set_leaving(2)), Answer::OK);
    EXPECT_TRUE(member(2)->leaving());
    EXPECT_EQ(replica_.status(on_node(put_object(kBucket, "l", kBlob2, 3), 2)),
              Answer::NODE_LEAVING);
    EXPECT_EQ(replica_.status(copy_object(kBucket, "l", kBlob1, 3)), Answer::OK);  // no new blob
    EXPECT_EQ(replica_.status(set_leaving(2, false)), Answer::OK);
    EXPECT_EQ(replica_.status(on_node(put_object(kBucket, "l", kBlob2, 3), 2)), Answer::OK);
    EXPECT_EQ(replica_.status(on_node(put_object(kBucket, "m", id16('z', 3), 3), 9)),
              Answer::NODE_LEAVING);
    EXPECT_EQ(replica_.status(set_leaving(9)), Answer::NO_SUCH_NODE);
    EXPECT_EQ(replica_.status(set_leaving(1)), Answer::OK);
    EXPECT_EQ(replica_.status(put_object(kBucket, "m", id16('z', 3), 3)), Answer::NODE_LEAVING);
    Command odd = put_object(kBucket, "m", id16('z', 3), 3);
    odd.mutable_put_object()->mutable_new_blobs(0)->mutable_geometry()->set_holder("odd");
    EXPECT_EQ(replica_.status(odd), Answer::INVALID_REQUEST);
    Command malformed;
    malformed.mutable_set_leaving()->set_node_id("short");
    EXPECT_EQ(replica_.status(malformed), Answer::INVALID_REQUEST);
}

TEST_F(ClusterTest, SomebodyStays) {
    found();
    EXPECT_EQ(replica_.status(set_leaving(1)), Answer::INVALID_REQUEST);
    admit(2);
    EXPECT_EQ(replica_.status(set_leaving(1)), Answer::OK);
    EXPECT_EQ(replica_.status(set_leaving(1)), Answer::OK);
    EXPECT_EQ(replica_.status(set_leaving(2)), Answer::INVALID_REQUEST);
    EXPECT_EQ(replica_.status(remove_node(2)), Answer::INVALID_REQUEST) << "it is empty";
    admit(3);
    EXPECT_EQ(replica_.status(remove_node(2)), Answer::OK);
    EXPECT_EQ(replica_.status(remove_node(3)), Answer::INVALID_REQUEST);
    EXPECT_EQ(replica_.status(remove_node(3, true)), Answer::OK) << "nobody asks who is lost";
    EXPECT_TRUE(member(1)->leaving());
}

TEST_F(ClusterTest, PartsOfUploadsCountToo) {
    found();
    replica_.apply(create_upload(kBucket, "k", id16('u', 1)));
    replica_.apply(put_part(kBucket, "k", id16('u', 1), 1, kBlob1, 3));
    EXPECT_EQ(held(1), 1U);
    replica_.apply(complete_upload(kBucket, "k", id16('u', 1), {{1, kBlob1}}));
    EXPECT_EQ(held(1), 1U);
    replica_.apply(delete_object(kBucket, "k"));
    drop(kBlob1);
    EXPECT_EQ(held(1), 0U);
}

TEST_F(ClusterTest, TheViewReadsTheMembershipThatTheGroupWrites) {
    EXPECT_FALSE(*replica_.view().membership());
    proto::Membership members;
    members.add_voters(node_id(1));
    const auto batch = replica_.store().batch();
    batch->put(system_row("membership"), members.SerializeAsString());
    ASSERT_TRUE(replica_.store().write(*batch));
    EXPECT_EQ((*replica_.view().membership())->voters(0), node_id(1));
    batch->clear();
    batch->put(system_row("membership"), "\xFF");
    batch->put(node_name_row("odd"), "odd");
    batch->put(table_prefix(Table::kRemovedNode) + "odd", "");
    ASSERT_TRUE(replica_.store().write(*batch));
    EXPECT_EQ(replica_.view().membership().error().code, Code::kCorrupt);
    EXPECT_EQ(replica_.view().node_by_name("odd").error().code, Code::kCorrupt);
    EXPECT_EQ(replica_.view().removed_nodes().error().code, Code::kCorrupt);
}

std::vector<Command> history() {
    return {create_bucket("photos", kBucket),
            put_object(kBucket, "old", kBlob1, 3),
            found_trust(),
            put_token(2),
            put_token(3),
            admit_node(2, node(2)),
            admit_node(2, node(3)),
            admit_node(3, node(3)),
            on_node(put_object(kBucket, "k", kBlob2, 10), 2),
            update_node(node(1)),
            set_leaving(3),
            remove_node(3),
            remove_node(2)};
}

TEST(ClusterReplicas, TheSameCommandsGiveTheSameBytes) {
    Replica one;
    Replica two;
    Staging staging(two.store());  // as a group applies them: in one batch
    std::uint64_t index = 0;
    for (const Command& command : history()) {
        const Answer answer = one.apply(command);
        one.now += 50;
        const auto other = meta::apply(staging, base::LogIndex{++index}, one.last);
        ASSERT_TRUE(other);
        EXPECT_EQ(other->SerializeAsString(), answer.SerializeAsString());
    }
    ASSERT_TRUE(staging.write());
    EXPECT_EQ(rows_of(one.store()), rows_of(two.store()));
}

// Rows of version 1 of the format. A change here is a change of the format.
TEST(ClusterGolden, Rows) {
    Replica replica;
    for (const Command& command : history()) replica.apply(command);
    const auto hex = [&](const std::string& row) {
        return base::hex_encode(base::as_bytes(*replica.store().get(row).value()));
    };
    EXPECT_EQ(hex(node_row(as_id<NodeId>(node_id(2)))),
              "0a104e4e4e4e4e4e4e4e000000000000000212026e321a05686f73743222017a28d00f320e313237"
              "2e302e302e313a373030323a05302e312e304880d095ffbc31521074747474747474740000000000"
              "0000025a200202020202020202020202020202020202020202020202020202020202020202");
    EXPECT_EQ(hex(node_name_row("n2")), "4e4e4e4e4e4e4e4e0000000000000002");
    EXPECT_EQ(hex(removed_node_row(as_id<NodeId>(node_id(3)))), "0a026e331080d095ffbc31");
    EXPECT_EQ(hex(blobs_held_row(as_id<NodeId>(node_id(2)))), "0801");
    EXPECT_EQ(hex(token_row(as_id<TokenId>(token_id(2)))),
              "0a107474747474747474000000000000000212204343434343434343434343434343434343434343"
              "434343434343434343434343188088afa8bd3122104e4e4e4e4e4e4e4e0000000000000002");
    EXPECT_EQ(hex(system_row("trust")),
              "0a0b636572746966696361746512067365616c65641a104e4e4e4e4e4e4e4e0000000000000001");
}

}  // namespace
}  // namespace hamster::meta
