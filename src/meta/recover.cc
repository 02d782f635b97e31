#include "meta/recover.h"

#include <utility>

#include "meta/apply.h"
#include "meta/group_files.h"
#include "meta/view.h"

namespace hamster::meta {

using proto::Entry;
using runtime::Task;

namespace {

// What an entry that is not in the store yet says about who there is.
Result<void> note(Standing& standing, const Entry& entry) {
    if (entry.kind() == Entry::CONFIGURATION) {
        proto::Membership stored;
        if (!stored.ParseFromString(entry.payload())) {
            return fail(Code::kCorrupt, "a membership entry cannot be read");
        }
        TRY_ASSIGN(standing.members, raft::members_from(stored));
        for (const std::string& lost : stored.lost()) {
            if (const auto id = base::NodeId::from_bytes(lost)) standing.nodes.erase(*id);
        }
        return {};
    }
    if (entry.kind() != Entry::COMMAND) return {};
    TRY_ASSIGN(const auto command, decode_command(base::as_bytes(entry.payload())));
    const proto::Node* node = command.has_admit_node()    ? &command.admit_node().node()
                              : command.has_update_node() ? &command.update_node().node()
                              : command.has_found_trust() ? &command.found_trust().founder()
                                                          : nullptr;
    if (node != nullptr) {
        if (const auto id = base::NodeId::from_bytes(node->node_id())) standing.nodes[*id] = *node;
    }
    if (command.has_remove_node()) {
        const auto id = base::NodeId::from_bytes(command.remove_node().node_id());
        if (id) standing.nodes.erase(*id);
    }
    return {};
}

Task<Result<Standing>> read_standing(GroupFiles* files, GroupOptions options) {
    Standing standing;
    CO_TRY_ASSIGN(standing.members, members_in(*files->store, options));
    CO_TRY_ASSIGN(const auto nodes, View(files->store->snapshot()).nodes());
    for (const proto::Node& node : nodes) {
        if (const auto id = base::NodeId::from_bytes(node.node_id())) standing.nodes[*id] = node;
    }
    standing.last = files->log->last_index();
    const base::LogIndex from{files->state.index() + 1};
    auto visit = [&standing](const Entry& entry) { return note(standing, entry); };
    auto read = co_await files->log->read(from, {standing.last.value + 1}, std::move(visit));
    CO_TRY(read);
    co_return standing;
}

// One entry, so that a crash leaves all of it or nothing. It is committed by this node alone.
Task<Result<void>> append_verdict(raft::Log* log, base::NodeId self, std::set<base::NodeId> lost) {
    auto term = co_await log->begin_term(self);
    CO_TRY(term);
    raft::Members alone;
    alone.voters.insert(self);
    proto::Membership verdict = raft::to_proto(alone);
    for (const base::NodeId& id : lost) verdict.add_lost(std::string(id.view()));
    auto appended = co_await log->append(Entry::CONFIGURATION, verdict.SerializeAsString());
    CO_TRY(appended);
    co_return Result<void>{};
}

}  // namespace

Task<Result<Standing>> inspect_group(runtime::World* control, std::string dir, GroupOptions options,
                                     base::Metrics* metrics) {
    auto opened = co_await open_files(control, dir, options, metrics);
    CO_TRY_ASSIGN(GroupFiles files, opened);
    auto standing = co_await read_standing(&files, options);
    co_await files.log->stop();
    co_return standing;
}

Task<Result<void>> become_lone_voter(runtime::World* control, std::string dir, GroupOptions options,
                                     std::set<base::NodeId> lost, base::Metrics* metrics) {
    auto opened = co_await open_files(control, dir, options, metrics);
    CO_TRY_ASSIGN(GroupFiles files, opened);
    auto standing = co_await read_standing(&files, options);
    Result<void> done = standing ? Result<void>{} : std::unexpected(standing.error());
    if (done && !standing->members.is_voter(options.self)) {
        done = fail(Code::kInvalid,
                    "this node does not vote: recover on one of the voters, the one that was "
                    "stopped last");
    }
    if (done) {
        done = co_await append_verdict(files.log.get(), options.self, std::move(lost));
    }
    co_await files.log->stop();
    co_return done;
}

}  // namespace hamster::meta
