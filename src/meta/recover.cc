#include "meta/recover.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "meta/apply.h"
#include "meta/group_files.h"
#include "meta/keyspace.h"
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

// The membership first: what follows is committed by this node alone.
Task<Result<void>> append_verdict(runtime::World* control, raft::Log* log, base::NodeId self,
                                  std::set<base::NodeId> lost, std::uint64_t stamp_ms) {
    auto term = co_await log->begin_term(self);
    CO_TRY(term);
    raft::Members alone;
    alone.voters.insert(self);
    auto members =
        co_await log->append(Entry::CONFIGURATION, raft::to_proto(alone).SerializeAsString());
    CO_TRY(members);
    for (const base::NodeId& id : lost) {
        proto::Command command;
        const auto request = mint_request_id(stamp_ms, control->random.id<base::RequestId>());
        command.set_request_id(std::string(request.view()));
        command.set_stamp_ms(stamp_ms);
        command.mutable_remove_node()->set_node_id(std::string(id.view()));
        command.mutable_remove_node()->set_lost(true);
        auto appended = co_await log->append(Entry::COMMAND, command.SerializeAsString());
        CO_TRY(appended);
    }
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
        // Stamps are made monotonic by apply; the latest one keeps request ids acceptable.
        const std::uint64_t stamp_ms = std::max(files.state.stamp_ms(), control->clock.unix_ms());
        done = co_await append_verdict(control, files.log.get(), options.self, std::move(lost),
                                       stamp_ms);
    }
    co_await files.log->stop();
    co_return done;
}

}  // namespace hamster::meta
