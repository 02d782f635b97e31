// Random commands against a model that knows nothing of rows: maps of buckets, keys and parts.
// After every command the store is read in full and everything derived is counted again.
#include <unistd.h>

#include <filesystem>
#include <set>

#include "kv/rocksdb_store.h"
#include "meta/testing.h"
#include "meta/testing_rules.h"

namespace hamster::meta {
namespace {

using namespace testing;

struct ModelPart {
    std::string blob;
    std::uint64_t size = 0;
};
using ModelParts = std::map<std::uint32_t, ModelPart>;
struct ModelUpload {
    std::string key;
    ModelParts parts;
};
struct ModelBucket {
    std::string name;
    std::map<std::string, std::vector<ModelPart>> objects;
    std::map<std::string, ModelUpload> uploads;
};

// What the commands mean, said once more without the store.
class Model {
  public:
    std::map<std::string, ModelBucket> buckets;
    std::set<std::string> gone;  // blobs that were live once and are not any more

    [[nodiscard]] std::map<std::string, std::uint32_t> references() const {
        std::map<std::string, std::uint32_t> count;
        each_part([&count](const ModelPart& part) {
            if (part.size > 0) ++count[part.blob];
        });
        return count;
    }
    bool is_live(const std::string& name) const { return references().contains(name); }
    // The id that a blob lies under: another one than its name once it was re-encoded.
    std::string id_of(const std::string& name) const {
        const auto found = moved_.find(name);
        return found == moved_.end() ? name : found->second;
    }
    // The name of the live blob that lies under this id; empty: there is none.
    std::string name_of(const std::string& id) const {
        for (const auto& [name, count] : references()) {
            if (id_of(name) == id) return name;
        }
        return "";
    }
    std::uint64_t size_of(const std::string& name) const {
        std::uint64_t size = 0;
        each_part([&](const ModelPart& part) {
            if (part.blob == name) size = part.size;
        });
        return size;
    }

    Answer::Status create_bucket(const proto::CreateBucket& c) {
        for (const auto& [id, bucket] : buckets) {
            if (bucket.name == c.name()) return Answer::BUCKET_ALREADY_OWNED_BY_YOU;
        }
        if (buckets.contains(c.bucket_id())) return Answer::INVALID_REQUEST;
        buckets[c.bucket_id()].name = c.name();
        return Answer::OK;
    }
    Answer::Status delete_bucket(const proto::DeleteBucket& c) {
        if (!buckets.contains(c.bucket_id())) return Answer::NO_SUCH_BUCKET;
        if (!buckets[c.bucket_id()].objects.empty()) return Answer::BUCKET_NOT_EMPTY;
        buckets.erase(c.bucket_id());
        return Answer::OK;
    }
    Answer::Status put(const proto::PutObject& c) {
        if (!buckets.contains(c.bucket_id())) return Answer::NO_SUCH_BUCKET;
        auto& objects = buckets[c.bucket_id()].objects;
        if (c.precondition().if_none_match_any() && objects.contains(c.key())) {
            return Answer::PRECONDITION_FAILED;
        }
        if (const auto refused = blobs(c); refused != Answer::OK) return refused;
        std::vector<ModelPart> parts;
        for (const auto& part : c.version().parts()) parts.push_back({part.blob_id(), part.size()});
        objects[c.key()] = parts;
        return Answer::OK;
    }
    Answer::Status remove(const proto::DeleteObject& c) {
        if (!buckets.contains(c.bucket_id())) return Answer::NO_SUCH_BUCKET;
        auto& objects = buckets[c.bucket_id()].objects;
        if (!c.precondition().if_match_etag().empty() && !objects.contains(c.key())) {
            return Answer::KEY_NOT_FOUND_FOR_IF_MATCH;
        }
        objects.erase(c.key());
        return Answer::OK;
    }
    Answer::Status create_upload(const proto::Upload& u) {
        if (!buckets.contains(u.bucket_id())) return Answer::NO_SUCH_BUCKET;
        for (const auto& [id, bucket] : buckets) {
            if (bucket.uploads.contains(u.upload_id())) return Answer::INVALID_REQUEST;
        }
        if (ended.contains(u.upload_id())) return Answer::INVALID_REQUEST;
        buckets[u.bucket_id()].uploads[u.upload_id()].key = u.key();
        return Answer::OK;
    }
    ModelUpload* find(const std::string& bucket, const std::string& key, const std::string& id) {
        const auto b = buckets.find(bucket);
        if (b == buckets.end()) return nullptr;
        const auto u = b->second.uploads.find(id);
        return u == b->second.uploads.end() || u->second.key != key ? nullptr : &u->second;
    }
    Answer::Status put_part(const proto::PutPart& c) {
        if (!buckets.contains(c.bucket_id())) return Answer::NO_SUCH_BUCKET;
        ModelUpload* upload = find(c.bucket_id(), c.key(), c.upload_id());
        if (upload == nullptr) return Answer::NO_SUCH_UPLOAD;
        if (const auto refused = blobs(c); refused != Answer::OK) return refused;
        upload->parts[c.part().number()] = {c.part().blob_id(), c.part().size()};
        return Answer::OK;
    }
    Answer::Status abort(const proto::AbortUpload& c) {
        if (!buckets.contains(c.bucket_id())) return Answer::NO_SUCH_BUCKET;
        if (find(c.bucket_id(), c.key(), c.upload_id()) == nullptr) {
            const auto before = ended.find(c.upload_id());
            const bool same = before != ended.end() && before->second == aborted(c);
            return same ? Answer::OK : Answer::NO_SUCH_UPLOAD;
        }
        buckets[c.bucket_id()].uploads.erase(c.upload_id());
        ended[c.upload_id()] = aborted(c);
        return Answer::OK;
    }
    Answer::Status complete(const proto::CompleteUpload& c) {
        if (!buckets.contains(c.bucket_id())) return Answer::NO_SUCH_BUCKET;
        const ModelUpload* upload = find(c.bucket_id(), c.key(), c.upload_id());
        if (upload == nullptr) {
            const auto before = ended.find(c.upload_id());
            return before != ended.end() && before->second == list(c) ? Answer::OK
                                                                      : Answer::NO_SUCH_UPLOAD;
        }
        if (c.parts().empty()) return Answer::INVALID_REQUEST;
        std::vector<ModelPart> parts;
        for (int i = 0; i < c.parts_size(); ++i) {
            if (i > 0 && c.parts(i).number() <= c.parts(i - 1).number()) {
                return Answer::INVALID_PART_ORDER;
            }
        }
        for (const auto& part : c.parts()) {
            const auto stored = upload->parts.find(part.number());
            if (stored == upload->parts.end() || part.etag() != etag_of(stored->second.blob)) {
                return Answer::INVALID_PART;
            }
            parts.push_back(stored->second);
        }
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            if (parts[i].size < kMinPartBytes) return Answer::ENTITY_TOO_SMALL;
        }
        buckets[c.bucket_id()].objects[c.key()] = parts;
        buckets[c.bucket_id()].uploads.erase(c.upload_id());
        ended[c.upload_id()] = list(c);
        return Answer::OK;
    }
    Answer::Status apply(const Command& c) {
        const auto before = references();
        const Answer::Status status = dispatch(c);
        const auto after = references();
        for (const auto& [blob, count] : before) {
            if (after.contains(blob)) continue;
            gone.insert(id_of(blob));
            moved_.erase(blob);
        }
        return status;
    }

  private:
    template <class Visit>
    void each_part(Visit visit) const {
        for (const auto& [id, bucket] : buckets) {
            for (const auto& [key, parts] : bucket.objects) {
                for (const auto& part : parts) visit(part);
            }
            for (const auto& [upload, state] : bucket.uploads) {
                for (const auto& [number, part] : state.parts) visit(part);
            }
        }
    }
    // Was a blob's, as its name or as the id that it lies or lay under.
    bool is_spent(const std::string& id) const {
        return is_live(id) || gone.contains(id) || !name_of(id).empty();
    }
    Answer::Status replace(const proto::ReplaceBlob& c) {
        const std::string name = name_of(c.blob_id());
        if (name.empty() || is_spent(c.by().blob_id())) return Answer::BLOB_GONE;
        if (c.by().geometry().size() != size_of(name)) return Answer::INVALID_REQUEST;
        gone.insert(c.blob_id());
        moved_[name] = c.by().blob_id();
        return Answer::OK;
    }
    template <class Command>
    Answer::Status blobs(const Command& c) const {
        for (const auto& fresh : c.new_blobs()) {
            if (is_spent(fresh.blob_id())) return Answer::BLOB_GONE;
        }
        for (const auto& shared : c.shared_blobs()) {
            if (!is_live(shared)) return Answer::BLOB_GONE;
        }
        return Answer::OK;
    }
    static std::string aborted(const proto::AbortUpload& c) {
        return "aborted " + c.bucket_id() + c.key();
    }
    static std::string list(const proto::CompleteUpload& c) {
        std::string out = c.bucket_id() + c.key();
        for (const auto& part : c.parts()) out += std::to_string(part.number()) + part.etag();
        return out;
    }
    Answer::Status dispatch(const Command& c) {
        switch (c.body_case()) {
            case Command::kCreateBucket:
                return create_bucket(c.create_bucket());
            case Command::kDeleteBucket:
                return delete_bucket(c.delete_bucket());
            case Command::kPutObject:
                return put(c.put_object());
            case Command::kDeleteObject:
                return remove(c.delete_object());
            case Command::kCreateUpload:
                return create_upload(c.create_upload().upload());
            case Command::kPutPart:
                return put_part(c.put_part());
            case Command::kAbortUpload:
                return abort(c.abort_upload());
            case Command::kCompleteUpload:
                return complete(c.complete_upload());
            case Command::kDropGarbage:
                for (const auto& id : c.drop_garbage().blob_ids()) gone.erase(id);
                return Answer::OK;
            case Command::kReplaceBlob:
                return replace(c.replace_blob());
            case Command::kFillSlots:  // where a blob lies is nothing to this model
            case Command::kSetProfile:
                return Answer::OK;
            default:
                return Answer::UNKNOWN_COMMAND;
        }
    }
    std::map<std::string, std::string> ended;   // upload id -> what ended it
    std::map<std::string, std::string> moved_;  // name of a blob -> the id that it lies under
};

// A small world, so that commands meet each other.
class Generator {
  public:
    explicit Generator(std::uint64_t seed) : dice(seed) {}
    Command next(const Model& model) {
        const std::string bucket = id16('b', dice.below(3));
        const std::string key =
            std::string("k\0", 1 + dice.below(2)) + std::to_string(dice.below(3));
        const std::string upload = id16('u', dice.below(6));
        const std::uint64_t size = dice.one_in(6) ? 0 : dice.one_in(2) ? 5 * kMiB : 7;
        switch (dice.below(15)) {
            case 0:
                return create_bucket("name" + std::to_string(dice.below(3)), bucket);
            case 1:
                return dice.one_in(3) ? delete_bucket(bucket) : delete_object(bucket, key);
            case 2:
                return conditional(delete_object(bucket, key));
            case 3:
            case 4:
                return conditional(put_object(bucket, key, blob(), size));
            case 5:
                return copy(model, bucket, key);
            case 6:
                return create_upload(bucket, key, upload);
            case 7:
            case 8:
                return put_part(bucket, key_of(model, bucket, upload, key), upload,
                                static_cast<std::uint32_t>(1 + dice.below(3)), blob(), size);
            case 9:
                return abort_upload(bucket, key_of(model, bucket, upload, key), upload);
            case 10:
                return complete(model, bucket, key_of(model, bucket, upload, key), upload);
            case 11:
                return replace(model, size);
            case 12:
                return fill_slot_of(model.id_of(some_name(model)), 0, 1, 0);
            case 13:
                return dice.one_in(4) ? set_profile("") : drop(model);
            default:
                return drop(model);
        }
    }
    // Bodies of a command go to a member, to nobody by name, or where the layout says.
    Command lodged(Command command) {
        if (!command.has_put_object() && !command.has_put_part()) return command;
        const std::uint64_t member = dice.below(4);
        if (member == 3) return placed(std::move(command), 1, 0, 0);
        return member == 0 ? command : on_node(std::move(command), member);
    }
    Dice dice;

  private:
    std::string blob() { return id16('x', dice.one_in(8) ? dice.below(blobs_ + 1) : ++blobs_); }
    Command conditional(Command command) {
        if (!dice.one_in(4)) return command;
        if (command.has_put_object()) {
            command.mutable_put_object()->mutable_precondition()->set_if_none_match_any(true);
        } else {
            command.mutable_delete_object()->mutable_precondition()->set_if_match_etag("*");
        }
        return command;
    }
    // Mostly the upload's own key.
    std::string key_of(const Model& model, const std::string& bucket, const std::string& upload,
                       const std::string& other) {
        const auto b = model.buckets.find(bucket);
        if (b == model.buckets.end() || dice.one_in(8)) return other;
        const auto u = b->second.uploads.find(upload);
        return u == b->second.uploads.end() ? other : u->second.key;
    }
    Command copy(const Model& model, const std::string& bucket, const std::string& key) {
        std::vector<ModelPart> live;
        for (const auto& [id, b] : model.buckets) {
            for (const auto& [k, parts] : b.objects) {
                for (const auto& part : parts) {
                    if (part.size > 0) live.push_back(part);
                }
            }
        }
        if (live.empty()) return copy_object(bucket, key, id16('x', 1), 7);
        const ModelPart& part = live[dice.below(live.size())];
        return copy_object(bucket, key, part.blob, part.size);
    }
    std::string some_name(const Model& model) {
        const auto all = model.references();
        if (all.empty()) return id16('x', 1);
        return std::next(all.begin(), static_cast<int>(dice.below(all.size())))->first;
    }
    Command replace(const Model& model, std::uint64_t other_size) {
        const std::string name = some_name(model);
        const std::uint64_t size = dice.one_in(8) ? other_size : model.size_of(name);
        Command command = replace_blob(dice.one_in(8) ? name : model.id_of(name), blob(), size);
        if (dice.one_in(2) && size > 0)
            place(*command.mutable_replace_blob()->mutable_by(), 1, 0, 0);
        return command;
    }
    Command complete(const Model& model, const std::string& bucket, const std::string& key,
                     const std::string& upload) {
        Listed parts;
        const auto b = model.buckets.find(bucket);
        if (b != model.buckets.end() && b->second.uploads.contains(upload)) {
            for (const auto& [number, part] : b->second.uploads.at(upload).parts) {
                if (!dice.one_in(4)) parts.emplace_back(number, part.blob);
            }
        }
        if (dice.one_in(8)) parts.emplace_back(1, id16('x', 1));
        if (dice.one_in(3)) parts = last_;  // again
        last_ = parts;
        return complete_upload(bucket, key, upload, parts);
    }
    Command drop(const Model& model) {
        Command command;
        for (const auto& blob : model.gone) {
            if (dice.one_in(2)) command.mutable_drop_garbage()->add_blob_ids(blob);
        }
        command.mutable_drop_garbage()->add_blob_ids(id16('x', dice.below(blobs_ + 1)));
        return command;
    }
    std::uint64_t blobs_ = 0;
    Listed last_;
};

// Counts everything again from the rows that are the truth.
void check(Replica& replica, const Model& model) {
    std::map<std::string, std::uint32_t> references;
    for (const auto& [row, value] : rows_of(replica.store(), Table::kVersion)) {
        proto::Version version;
        ASSERT_TRUE(version.ParseFromString(value));
        for (const auto& part : version.parts()) {
            if (part.size() > 0) ++references[part.blob_id()];
        }
    }
    for (const auto& [row, value] : rows_of(replica.store(), Table::kPart)) {
        proto::Part part;
        ASSERT_TRUE(part.ParseFromString(value));
        if (part.size() > 0) ++references[part.blob_id()];
    }
    ASSERT_EQ(references, model.references());
    std::map<std::string, std::uint32_t> counted;
    for (const auto& [row, value] : rows_of(replica.store(), Table::kBlob)) {
        proto::Blob blob;
        ASSERT_TRUE(blob.ParseFromString(value));
        const std::string id = row.substr(3);
        const std::string& name = blob.logical().empty() ? id : blob.logical();
        ASSERT_EQ(model.id_of(name), id);
        counted[name] = blob.references();
    }
    ASSERT_EQ(counted, references);
    std::set<std::string> garbage;
    for (const auto& [row, value] : rows_of(replica.store(), Table::kGarbage)) {
        garbage.insert(row.substr(3));
    }
    ASSERT_EQ(garbage, model.gone);
    ASSERT_EQ(flaw_of_rows(replica.store()), "");
    const View view = replica.view();
    ASSERT_EQ(rows_of(replica.store(), Table::kBucketCounters).size(), model.buckets.size());
    for (const auto& [id, bucket] : model.buckets) {
        const auto counters = *view.counters(as_id<BucketId>(id));
        std::uint64_t bytes = 0;
        for (const auto& [upload, state] : bucket.uploads) {
            for (const auto& [number, part] : state.parts) bytes += part.size;
        }
        const auto page = *view.list_current(as_id<BucketId>(id), {});
        ASSERT_EQ(page.entries.size(), bucket.objects.size());
        auto listed = page.entries.begin();
        for (const auto& [key, parts] : bucket.objects) {
            std::uint64_t size = 0;
            for (const auto& part : parts) size += part.size;
            ASSERT_EQ(listed->key, key);
            ASSERT_EQ(listed->current.size(), size);
            ASSERT_EQ((*view.newest(as_id<BucketId>(id), key))->etag(), listed->current.etag());
            bytes += size;
            ++listed;
        }
        ASSERT_EQ(counters.objects(), bucket.objects.size());
        ASSERT_EQ(counters.versions(), bucket.objects.size());
        ASSERT_EQ(counters.uploads(), bucket.uploads.size());
        ASSERT_EQ(counters.bytes(), bytes);
    }
}

Rows without_progress(Replica& replica) {
    Rows rows = rows_of(replica.store());
    rows.erase(system_row("applied"));
    return rows;
}

class ModelTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ModelTest, TheStoreMeansWhatTheModelSays) {
    Generator generator(GetParam());
    Replica replica;
    Model model;
    std::map<int, int> outcomes;
    std::vector<Command> done;
    for (int step = 0; step < 250; ++step) {
        if (step == 80) {  // a store that grows into a cluster
            for (const Command& command : {found_trust(), put_token(2), admit_node(2, node(2))}) {
                ASSERT_EQ(replica.status(command), Answer::OK);
            }
        }
        Command command = generator.next(model);
        if (step > 80) command = generator.lodged(std::move(command));
        const Answer::Status expected = model.apply(command);
        const Answer::Status status = replica.status(command);
        ASSERT_EQ(status, expected) << "step " << step << ": " << command.ShortDebugString();
        ++outcomes[status];
        done.push_back(replica.last);
        ASSERT_NO_FATAL_FAILURE(check(replica, model)) << command.ShortDebugString();
        if (generator.dice.one_in(4)) {  // a replay of something earlier
            const Rows before = without_progress(replica);
            replica.apply(done[generator.dice.below(done.size())]);
            ASSERT_EQ(without_progress(replica), before);
        }
    }
    EXPECT_GT(outcomes[Answer::OK], 50);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::Range<std::uint64_t>(1, 25));

// The same log gives the same rows, whatever keeps them and however commands are grouped.
TEST(ModelReplicas, RocksDbAndMemoryHoldTheSameBytes) {
    runtime::sim::Simulator sim(7);
    const std::string path =
        ::testing::TempDir() + "/hamster-meta-model-" + std::to_string(getpid());
    {
        auto rocks = kv::open_rocksdb(&sim.harness(), path, kv::Options{}, nullptr);
        ASSERT_TRUE(rocks) << rocks.error().context;
        Generator generator(99);
        Staging staging(**rocks);
        Replica replica;
        Model model;
        for (std::uint64_t step = 1; step <= 300; ++step) {
            const Command command = generator.next(model);
            model.apply(command);
            const Answer answer = replica.apply(command);
            replica.now += 50;
            const auto other = meta::apply(staging, base::LogIndex{step}, replica.last);
            ASSERT_TRUE(other) << other.error().context;
            ASSERT_EQ(other->SerializeAsString(), answer.SerializeAsString());
            if (generator.dice.below(8) == 0) ASSERT_TRUE(staging.write());
        }
        ASSERT_TRUE(staging.write());
        EXPECT_EQ(rows_of(**rocks), rows_of(replica.store()));
    }
    std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace hamster::meta
