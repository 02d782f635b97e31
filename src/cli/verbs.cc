#include "cli/verbs.h"

namespace hamster::cli {

namespace {

constexpr Flag kDataDir{"data-dir", "DIR", "the node's data directory", "", true};
constexpr Flag kJson{"json", "", "print JSON", ""};
constexpr Flag kLogLevel{"log-level", "LEVEL", "debug, info, warn or error", "info"};

constexpr Flag kNode{"node", "NAME", "a name for this node, unique in the cluster", ""};
constexpr Flag kListen{"listen", "ADDRESS",
                       "where other nodes reach this one; remembered; at first 127.0.0.1:7946", ""};
constexpr Flag kZone{"zone", "NAME", "its failure domain: a rack, a room, a site", ""};
constexpr Flag kCapacity{"capacity", "SIZE", "space to use: 500GiB, 4TB; at first the disk's size",
                         ""};

constexpr Flag kReplaces{"replaces", "NAME",
                         "join in the place of this member, up or down, which then leaves", ""};

constexpr Flag kInitFlags[] = {kDataDir, kNode, kListen, kZone, kCapacity};
constexpr Flag kJoinFlags[] = {
    kDataDir, {"token", "TOKEN", "from `hamster token` on a member", "", true},
    kNode,    kListen,
    kZone,    kCapacity,
    kReplaces};
constexpr Flag kServeFlags[] = {
    kDataDir,
    {"token", "TOKEN", "join the cluster of this token first, unless that has been done", ""},
    kNode,
    kListen,
    kZone,
    kCapacity,
    kReplaces,
    {"s3", "ADDRESS", "where S3 clients connect", "127.0.0.1:9000"},
    {"no-s3", "", "serve no S3 clients here", ""},
    {"admin", "ADDRESS",
     "/metrics, /healthz and /readyz; at first 127.0.0.1, the S3 port + 1000; `none` for none", ""},
    {"region", "NAME", "the region clients must name", "us-east-1"},
    {"domain", "NAME", "also serve virtual-hosted buckets under this name", ""},
    {"tls-cert", "FILE", "certificate chain, PEM: serve HTTPS; read again on SIGHUP", ""},
    {"tls-key", "FILE", "its private key, PEM", ""},
    {"access-log", "", "log one line per request", ""},
    {"accept-lost-segments", "",
     "start although segment files are missing: gives up what is in them", ""},
    kLogLevel,
};
constexpr Flag kClientFlags[] = {kDataDir, kJson};
constexpr Flag kStatusFlags[] = {
    kDataDir, {"watch", "", "show it again every two seconds", ""}, kJson};
constexpr Flag kScrubFlags[] = {
    kDataDir, {"no-wait", "", "begin, and do not wait for the end", ""}, kJson};
constexpr std::string_view kScrubLesson =
    "Each node does it by itself within a week, slowly. After trouble with a disk, do not wait: "
    "this reads\nevery shard of the node at the speed of repair. What is damaged is restored from "
    "the "
    "other nodes.\n";
constexpr Flag kTokenFlags[] = {
    kDataDir, {"ttl", "TIME", "how long it can be used: 10m, 24h, 7d", "24h"}, kJson};
constexpr Flag kCanStopFlags[] = {
    kDataDir, {"node", "NAME", "the node that is to be stopped", "", true}, kJson};
constexpr Flag kTransferFlags[] = {
    kDataDir, {"to", "NAME", "the voter that should lead; else whichever is fit", ""}, kJson};
constexpr std::string_view kCanStopLesson =
    "Asks the leader, which asks every node now. Exit code 0: stopping it is safe; 1: it is not, "
    "and the\nreason is printed. For scripts: hamster can-stop -data-dir D -node n2 && ssh n2 "
    "systemctl stop hamster\n";
constexpr Flag kRecoverFlags[] = {kDataDir, {"force", "", "do not ask", ""}};
constexpr std::string_view kRecoverLesson =
    "For a cluster most of whose voters are lost for good. Stop this node first. It refuses while "
    "one of\nthe other voters answers, names those it gives up, and asks. Choose the voter that "
    "was "
    "stopped last:\nwhat only the others knew is gone.\n";
constexpr Flag kRemoveFlags[] = {
    kDataDir,
    {"lost", "", "it never comes back: give up what only it has; you are asked", ""},
    {"force", "", "with -lost: do not ask", ""},
    kJson};
constexpr std::string_view kRemoveLesson =
    "First drain the node, and wait until `hamster status` shows it as drained. It then stops "
    "voting, and\nhands over leadership if it leads. Its id never returns: to use the machine "
    "again, start it with an empty\ndata directory and a new token. Refused while objects lie on "
    "it.\n\n"
    "A node that is down is drained from what the others have. That does not end when they have "
    "too little:\nobjects might still come back with the node. If it never will, say -lost.\n";
constexpr Flag kDrainFlags[] = {
    kDataDir,
    {"reencode", "", "agree to the question about the profile, for scripts", ""},
    {"wait", "", "until it is empty; may be interrupted and repeated", ""},
    kJson};
constexpr std::string_view kDrainLesson =
    "The node gives its shards to the others and takes no new ones; it keeps serving, and nothing "
    "is less\nsafe meanwhile. A node that is down is drained from what the others have. When the "
    "nodes that are left\nare too few for the storage profile, all objects are stored anew in a "
    "smaller one first: you are asked\nbefore that, or say -reencode. `hamster status` shows how "
    "far it is; `hamster undrain` takes it back.\n\n"
    "  hamster drain n3 -data-dir D -wait && hamster remove n3 -data-dir D\n";
constexpr std::string_view kUndrainLesson =
    "The node takes shards again, its share of all. What had gone already comes back.\n";
constexpr Flag kOptimizeFlags[] = {kDataDir,
                                   {"no-wait", "", "begin, and do not wait for the end", ""},
                                   {"stop", "", "end it; what has been stored anew stays so", ""},
                                   kJson};
constexpr std::string_view kOptimizeLesson =
    "After the cluster has grown, or the profile was changed, objects keep the profile that they "
    "were stored\nwith. This stores them anew in the profile of new objects: it reads and writes "
    "every one of them, and\nyields to clients. It goes on in the cluster when this command is "
    "interrupted; repeat it to watch.\nObjects keep their version ids, ETags and dates.\n";
constexpr std::string_view kSetProfileLesson =
    "PROFILE is k+m, k data and m parity shards on as many nodes, or `auto` for the widest that "
    "the number of\nnodes allows:\n"
    "  1+0  1 node    100 % of the capacity is usable, no node may be lost\n"
    "  1+1  2 nodes    50 %, any 1 node\n"
    "  2+1  3 nodes    67 %, any 1 node\n"
    "  3+2  5 nodes    60 %, any 2 nodes\n"
    "  4+2  6 nodes    67 %, any 2 nodes\n"
    "It holds for new objects; `hamster optimize` stores the others anew. A chosen profile stays "
    "when nodes\ncome, and no node can be drained or removed that it needs.\n";
constexpr Flag kBenchFlags[] = {
    {"endpoint", "URL", "of any S3 server; http or https", "http://127.0.0.1:9000"},
    {"access-key", "ID", "instead of HAMSTER_ACCESS_KEY_ID or AWS_ACCESS_KEY_ID", ""},
    {"secret-key", "SECRET", "instead of HAMSTER_SECRET_ACCESS_KEY or AWS_SECRET_ACCESS_KEY", ""},
    {"region", "NAME", "the region to sign for", "us-east-1"},
    {"bucket", "NAME", "made when it is absent, and deleted again", "hamster-bench"},
    {"prefix", "TEXT", "of every key", "bench/"},
    {"size", "SIZE", "of an object: 512, 4KiB, 64MiB, 1GiB", "4KiB"},
    {"clients", "N", "connections, each with one request at a time", "64"},
    {"duration", "TIME", "of the load: 500ms, 10s, 5m", "10s"},
    {"requests", "N", "end after so many requests instead", ""},
    {"objects", "N", "objects to prepare; for put: keys to write over (else all are new)", ""},
    {"page", "N", "keys per listing", "1000"},
    {"threads", "N", "of the generator; else one per core", ""},
    {"keep", "", "leave bucket and objects", ""},
    {"reuse", "", "read the objects that an earlier run with -keep has left; keeps them", ""},
    {"verify", "", "compare the content of every GET, not only its length", ""},
    {"unsigned-payload", "", "sign requests, but not the content of PUTs", ""},
    {"insecure", "", "take any certificate", ""},
    {"path", "PATH", "get: this path of any web server, for comparison", ""},
    {"server-pid", "PID", "report CPU and memory of this process, too", ""},
    kJson,
};
constexpr std::string_view kBenchLesson =
    "MODE is put, get, stat, list, delete or mixed (45 % GET, 30 % PUT, 15 % STAT, 10 % DELETE).\n"
    "What the load needs is made first and removed afterwards. Ctrl-C ends the load early, still\n"
    "with a report. The exit code is 0 only when every request succeeded.\n\n"
    "Examples:\n"
    "  hamster bench put                                small durable writes, 64 at a time\n"
    "  hamster bench get -size 64MiB -clients 4         throughput of large reads\n"
    "  hamster bench mixed -size 1MiB -duration 5m      a longer look\n"
    "  hamster bench list -objects 1000000              keys listed per second\n"
    "  hamster bench put -size 4KiB -requests 100000 -objects 100000 -keep\n"
    "  hamster bench get -objects 100000 -reuse -verify read back what that has written\n"
    "  hamster bench get -endpoint https://10.0.0.5:9443 -insecure -server-pid $(pidof hamster)\n"
    "  hamster bench get -endpoint http://127.0.0.1:8080 -path /4k -size 4KiB   a web server\n";
constexpr Flag kVersionFlags[] = {kJson};

constexpr Verb kVerbs[] = {
    {"init", "", "Make a data directory for a new node", kInitFlags, run_init},
    {"serve", "", "Run the node", kServeFlags, run_serve},
    {"join", "", "Make a data directory for a node of an existing cluster", kJoinFlags, run_join},
    {"token", "", "Mint a token that admits one new node", kTokenFlags, run_token},
    {"scrub", "", "Read everything that lies on this node, now", kScrubFlags, run_scrub,
     kScrubLesson},
    {"status", "", "Show the cluster and this node at a glance", kStatusFlags, run_status},
    {"can-stop", "", "Ask whether a node can be stopped safely", kCanStopFlags, run_can_stop,
     kCanStopLesson},
    {"transfer-leadership", "", "Let another voter lead the metadata", kTransferFlags,
     run_transfer_leadership},
    {"drain", "NODE", "Move everything off a node, so that it can go", kDrainFlags, run_drain,
     kDrainLesson},
    {"undrain", "NODE", "Keep a node after all", kClientFlags, run_undrain, kUndrainLesson},
    {"optimize", "", "Store older objects anew in the profile of new ones", kOptimizeFlags,
     run_optimize, kOptimizeLesson},
    {"set-profile", "PROFILE", "Choose how many shards objects have", kClientFlags, run_set_profile,
     kSetProfileLesson},
    {"remove", "NODE", "Take a node out of the cluster for good", kRemoveFlags, run_remove,
     kRemoveLesson},
    {"recover", "", "Go on without voters that are lost for good: the last resort", kRecoverFlags,
     run_recover, kRecoverLesson},
    {"user create", "NAME", "Make a user and show a key pair, once", kClientFlags, run_user_create},
    {"user list", "", "List users and their keys", kClientFlags, run_user_list},
    {"user disable", "NAME", "Refuse a user's requests", kClientFlags, run_user_disable},
    {"user enable", "NAME", "Accept them again", kClientFlags, run_user_enable},
    {"user delete", "NAME", "Delete a user, with all keys", kClientFlags, run_user_delete},
    {"key create", "NAME", "Give a user another key pair, shown once", kClientFlags,
     run_key_create},
    {"key revoke", "ACCESS_KEY_ID", "Delete one key pair", kClientFlags, run_key_revoke},
    {"bench", "MODE", "Load an S3 endpoint, and report rates and latencies", kBenchFlags, run_bench,
     kBenchLesson},
    {"completion", "SHELL", "Print completions for bash, zsh or fish", {}, run_completion},
    {"version", "", "Print the version", kVersionFlags, run_version},
};

}  // namespace

std::span<const Verb> verbs() { return kVerbs; }

}  // namespace hamster::cli
