#include "cli/verbs.h"

namespace hamster::cli {

namespace {

constexpr Flag kDataDir{"data-dir", "DIR", "the node's data directory", "", true};
constexpr Flag kJson{"json", "", "print JSON", ""};
constexpr Flag kLogLevel{"log-level", "LEVEL", "debug, info, warn or error", "info"};

constexpr Flag kInitFlags[] = {kDataDir};
constexpr Flag kServeFlags[] = {
    kDataDir,
    {"s3", "ADDRESS", "where S3 clients connect", "127.0.0.1:9000"},
    {"admin", "ADDRESS", "/metrics, /healthz and /readyz; `none` for none", "127.0.0.1:9001"},
    {"region", "NAME", "the region clients must name", "us-east-1"},
    {"domain", "NAME", "also serve virtual-hosted buckets under this name", ""},
    {"tls-cert", "FILE", "certificate chain, PEM: serve HTTPS; read again on SIGHUP", ""},
    {"tls-key", "FILE", "its private key, PEM", ""},
    {"node", "NAME", "a name for this node in status and logs", ""},
    {"access-log", "", "log one line per request", ""},
    kLogLevel,
};
constexpr Flag kClientFlags[] = {kDataDir, kJson};
constexpr Flag kVersionFlags[] = {kJson};

constexpr Verb kVerbs[] = {
    {"init", "", "Make a data directory for a new node", kInitFlags, run_init},
    {"serve", "", "Run the node", kServeFlags, run_serve},
    {"status", "", "Show the running node at a glance", kClientFlags, run_status},
    {"user create", "NAME", "Make a user and show a key pair, once", kClientFlags, run_user_create},
    {"user list", "", "List users and their keys", kClientFlags, run_user_list},
    {"user disable", "NAME", "Refuse a user's requests", kClientFlags, run_user_disable},
    {"user enable", "NAME", "Accept them again", kClientFlags, run_user_enable},
    {"user delete", "NAME", "Delete a user, with all keys", kClientFlags, run_user_delete},
    {"key create", "NAME", "Give a user another key pair, shown once", kClientFlags, run_key_create},
    {"key revoke", "ACCESS_KEY_ID", "Delete one key pair", kClientFlags, run_key_revoke},
    {"completion", "SHELL", "Print completions for bash, zsh or fish", {}, run_completion},
    {"version", "", "Print the version", kVersionFlags, run_version},
};

}  // namespace

std::span<const Verb> verbs() {
    return kVerbs;
}

}  // namespace hamster::cli
