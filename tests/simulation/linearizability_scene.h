// For tests: histories of a real register, used by clients whose requests overlap at random; and a
// judge that tries every order, too simple to be wrong.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "linearizability.h"
#include "runtime/prng.h"

namespace hamster::simulation::testing {

struct Profile {
    int clients = 8;
    int operations = 200;
    std::uint64_t unknown_percent = 10;
    bool deletes = true;
};

// What a correct register does with a write: the value after it, and the answer.
inline std::pair<Tag, Outcome> carry_out(const Operation& op, Tag value) {
    switch (op.kind) {
        case Kind::kGet:
        case Kind::kHead:
            return {value, value == kAbsent ? Outcome::kNotFound : Outcome::kOk};
        case Kind::kDelete:
            if (op.if_match && value != kAbsent && *op.if_match != value) {
                return {value, Outcome::kPreconditionFailed};
            }
            return {kAbsent, Outcome::kOk};
        case Kind::kPut:
            break;
    }
    if (op.if_none_match && value != kAbsent) return {value, Outcome::kPreconditionFailed};
    if (op.if_match && value == kAbsent) return {value, Outcome::kNotFound};
    if (op.if_match && *op.if_match != value && *op.if_match != kAnyTag) {
        return {value, Outcome::kPreconditionFailed};
    }
    return {op.tag, Outcome::kOk};
}

class Register {
  public:
    Register(std::uint64_t seed, Profile profile)
        : profile_(profile),
          random_(runtime::Prng::split(seed, "register")),
          clients_(static_cast<std::size_t>(profile.clients)) {}

    std::vector<Operation> run() {
        while (static_cast<int>(done_.size()) < profile_.operations) {
            ++moment_;
            if (!lost_.empty() && random_.below(40) == 0) surface();
            const auto client = static_cast<std::size_t>(random_.below(clients_.size()));
            if (!clients_[client].busy) {
                invoke(client);
            } else if (!clients_[client].effected) {
                take_effect(client);
            } else {
                finish(client);
            }
        }
        for (Client& client : clients_) {  // still under way
            if (!client.busy) continue;
            client.op.outcome = Outcome::kUnknown;
            done_.push_back(client.op);
        }
        return done_;
    }

  private:
    struct Client {
        bool busy = false;
        bool effected = false;
        Operation op;
    };

    void invoke(std::size_t client) {
        Operation op;
        op.client = static_cast<int>(client);
        op.invoked_us = moment_;
        const std::uint64_t dice = random_.below(100);
        op.kind = dice < 45                       ? Kind::kPut
                  : dice < 55 && profile_.deletes ? Kind::kDelete
                  : dice < 70                     ? Kind::kHead
                                                  : Kind::kGet;
        if (op.kind == Kind::kPut) {
            op.tag = next_tag_++;
            const std::uint64_t condition = random_.below(10);
            op.if_none_match = condition < 3;
            if (condition == 3) op.if_match = 1 + random_.below(next_tag_);
            if (condition > 6) op.if_match = value_ == kAbsent ? 1 : value_;
        }
        clients_[client] = {true, false, op};
    }
    void take_effect(std::size_t client) {
        Client& one = clients_[client];
        if (random_.below(100) < profile_.unknown_percent) {  // the client gives up
            one.busy = false;
            one.op.outcome = Outcome::kUnknown;
            done_.push_back(one.op);
            if (random_.below(2) == 0) lost_.push_back(one.op);
            return;
        }
        one.effected = true;
        const auto [value, outcome] = carry_out(one.op, value_);
        if (one.op.kind == Kind::kGet || one.op.kind == Kind::kHead) one.op.tag = value;
        value_ = value;
        one.op.outcome = outcome;
    }
    void finish(std::size_t client) {
        clients_[client].busy = false;
        clients_[client].op.returned_us = moment_;
        done_.push_back(clients_[client].op);
    }
    // A request that was given up long ago takes effect.
    void surface() {
        const auto at = static_cast<std::ptrdiff_t>(random_.below(lost_.size()));
        const Operation op = lost_[static_cast<std::size_t>(at)];
        lost_.erase(lost_.begin() + at);
        value_ = carry_out(op, value_).first;
    }

    Profile profile_;
    runtime::Prng random_;
    std::vector<Client> clients_;
    std::vector<Operation> lost_;
    std::vector<Operation> done_;
    std::int64_t moment_ = 0;
    Tag value_ = kAbsent;
    Tag next_tag_ = 1;
};

// Whether any order of the rest explains the answers. `rest` small: it tries them all.
inline bool is_explained(const std::vector<Operation>& rest, Tag value) {
    std::int64_t horizon = kNever;
    bool is_done = true;
    for (const Operation& op : rest) {
        if (op.outcome == Outcome::kUnknown) continue;
        is_done = false;
        horizon = std::min(horizon, op.returned_us);
    }
    if (is_done) return true;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        const Operation& op = rest[i];
        if (op.invoked_us > horizon) continue;
        const auto [then, outcome] = carry_out(op, value);
        const bool is_read = op.kind == Kind::kGet || op.kind == Kind::kHead;
        if (op.outcome != Outcome::kUnknown && outcome != op.outcome) continue;
        if (op.outcome == Outcome::kOk && is_read && then != op.tag) continue;
        std::vector<Operation> fewer = rest;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        if (is_explained(fewer, then)) return true;
    }
    return false;
}

}  // namespace hamster::simulation::testing
