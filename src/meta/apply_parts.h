// The families of commands behind apply(). Private. Each judges its command against the
// transaction, writes what it changes into it, and answers; when the answer is not OK the
// dispatcher drops the changes, so a refusal may come after changes were made.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/txn.h"
#include "proto/commands.pb.h"

namespace hamster::meta {

using Answered = Result<proto::Answer>;

proto::Answer refuse(proto::Answer::Status status, std::string detail = {});

// references.cc
Answered apply_drop_garbage(Txn& txn, const proto::DropGarbage& command);

// apply_bucket.cc
Answered apply_create_bucket(Txn& txn, const proto::CreateBucket& command);
Answered apply_delete_bucket(Txn& txn, const proto::DeleteBucket& command);
// The row that every command on a bucket reads and writes; absent: no such bucket.
Result<std::optional<proto::BucketCounters>> load_counters(const Txn& txn,
                                                           const base::BucketId& bucket);
void put_counters(Txn& txn, const base::BucketId& bucket, const proto::BucketCounters& counters);

// apply_object.cc
Answered apply_put_object(Txn& txn, const proto::PutObject& command);
Answered apply_delete_object(Txn& txn, const proto::DeleteObject& command);
Answered apply_put_tags(Txn& txn, const proto::PutTags& command);
// Judges a condition against the version it is about; nullopt: it holds.
std::optional<proto::Answer> judge(const proto::Precondition& condition,
                                   const proto::Version* present);
// Makes `version` the null version of the key, in place of `old`, whose blobs are let go. Sets what
// apply decides of a version, updates the listing row and the counters.
Answered install_null_version(Txn& txn, const base::BucketId& bucket, const std::string& key,
                              const std::optional<proto::Version>& old, proto::Version version,
                              proto::BucketCounters& counters);

// apply_upload.cc
Answered apply_create_upload(Txn& txn, const proto::CreateUpload& command);
Answered apply_put_part(Txn& txn, const proto::PutPart& command);
Answered apply_abort_upload(Txn& txn, const proto::AbortUpload& command);
// Ends an upload: its row, its parts' rows and its share of the counters go. The blobs of parts
// that `keep` does not name are let go. `keep` is sorted.
Result<void> end_upload(Txn& txn, const proto::Upload& upload, std::span<const proto::Part> parts,
                        std::span<const std::uint32_t> keep, proto::BucketCounters& counters);
// Remembers how an upload ended, and forgets some that ended long ago.
Result<void> remember_finished(Txn& txn, const base::UploadId& upload,
                               proto::FinishedUpload finished);
Result<std::vector<proto::Part>> load_parts(const Txn& txn, const base::UploadId& upload,
                                            std::size_t limit);

// apply_complete.cc
Answered apply_complete_upload(Txn& txn, const proto::CompleteUpload& command);

// apply_identity.cc
Answered apply_put_user(Txn& txn, const proto::PutUser& command);
Answered apply_delete_user(Txn& txn, const proto::DeleteUser& command);
Answered apply_put_credential(Txn& txn, const proto::PutCredential& command);
Answered apply_delete_credential(Txn& txn, const proto::DeleteCredential& command);
Answered apply_found_cluster(Txn& txn, const proto::FoundCluster& command);

// apply_cluster.cc
Answered apply_found_trust(Txn& txn, const proto::FoundTrust& command);
Answered apply_put_token(Txn& txn, const proto::PutToken& command);
Answered apply_admit_node(Txn& txn, const proto::AdmitNode& command);

// apply_layout.cc
Answered apply_set_layout(Txn& txn, const proto::SetLayout& command);
Answered apply_settle_slots(Txn& txn, const proto::SettleSlots& command);
Answered apply_set_profile(Txn& txn, const proto::SetProfile& command);
Answered apply_set_reencode(Txn& txn, const proto::SetReencode& command);

// apply_reencode.cc
Answered apply_fill_slots(Txn& txn, const proto::FillSlots& command);
Answered apply_replace_blob(Txn& txn, const proto::ReplaceBlob& command);

// apply_cluster_nodes.cc
Answered apply_update_node(Txn& txn, const proto::UpdateNode& command);
Answered apply_set_leaving(Txn& txn, const proto::SetLeaving& command);
Answered apply_remove_node(Txn& txn, const proto::RemoveNode& command);
// Makes `node` a member; it has been judged by judge_newcomer().
void put_new_node(Txn& txn, proto::Node node);
// What keeps a node from becoming a member: malformed, spent, taken, too many.
Result<std::optional<proto::Answer>> judge_newcomer(const Txn& txn, const proto::Node& node);
// Takes over what a member says about itself: name, host, zone, capacity, addresses, version.
Answered update_member(Txn& txn, proto::Node member, const proto::Node& said);
// Members that are not leaving.
Result<std::size_t> count_staying(const Txn& txn);

}  // namespace hamster::meta
