// init, join and serve: the verbs that own a data directory.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <ostream>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "cli/control_client.h"
#include "cli/verbs.h"
#include "cluster/labels.h"
#include "node/node.h"
#include "runtime/real/loops.h"
#include "runtime/sync.h"

namespace hamster::cli {

using runtime::Task;
using runtime::real::Loops;

namespace {

constexpr std::uint64_t kAdminPortStep = 1000;

std::string env_or_empty(const Console& console, const char* name) {
    const char* value = console.env(name);
    return value == nullptr ? std::string() : std::string(value);
}

Result<base::LogLevel> log_level(const std::string& name) {
    if (name == "debug") return base::LogLevel::kDebug;
    if (name == "info") return base::LogLevel::kInfo;
    if (name == "warn") return base::LogLevel::kWarn;
    if (name == "error") return base::LogLevel::kError;
    return fail(Code::kInvalid, "-log-level is debug, info, warn or error");
}

Result<void> set_up_log(const Args& args, const Console& console) {
    TRY_ASSIGN(const base::LogLevel level, log_level(args.at("log-level")));
    const std::string format = env_or_empty(console, "HAMSTER_LOG_FORMAT");
    if (!format.empty() && format != "json" && format != "human") {
        return fail(Code::kInvalid, "HAMSTER_LOG_FORMAT is json or human");
    }
    base::configure_log(level, format == "json" ? base::LogFormat::kJson : base::LogFormat::kHuman);
    return {};
}

int report_error(Console& console, const Error& error, int code = kExitFailed) {
    console.err << fmt::format("hamster: {}\n", error.context);
    return code;
}

// What a node says about itself; only what is given on the command line.
Result<node::Options> node_options(const Args& args) {
    node::Options options;
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0) options.host = host.data();
    if (const auto listen = args.value("listen")) {
        TRY_ASSIGN(options.listen, cluster::parse_listen(*listen));
    }
    if (const auto name = args.value("node")) {
        TRY_ASSIGN(options.name, cluster::parse_node_name(*name));
    }
    if (const auto zone = args.value("zone")) {
        TRY_ASSIGN(options.zone, cluster::parse_zone(*zone));
    }
    if (const auto capacity = args.value("capacity")) {
        TRY_ASSIGN(options.capacity_bytes, cluster::parse_capacity(*capacity));
    }
    return options;
}

Task<int> init_main(Loops* loops, node::Options options, std::string data_dir, Console* console) {
    crypto::OsKeySource keys;
    auto made = co_await node::init_data_dir(&loops->control(), &keys, std::move(options));
    if (!made) co_return report_error(*console, made.error());
    console->out << fmt::format(
        "Initialised {}: node {} of cluster {}.\nKeep {}/{} safe: without it no user's key opens.\n"
        "Next: hamster serve -data-dir {}\n",
        data_dir, made->node.hex(), made->cluster.hex(), data_dir, node::kSecretFile, data_dir);
    co_return kExitOk;
}

Task<int> join_main(Loops* loops, node::Options options, std::string token, std::string data_dir,
                    Console* console) {
    crypto::OsKeySource keys;
    auto joined = co_await node::join_data_dir(&loops->control(), &keys, std::move(options),
                                               std::move(token));
    if (!joined) co_return report_error(*console, joined.error());
    console->out << fmt::format("Joined cluster {} as node {}.\nNext: hamster serve -data-dir {}\n",
                                joined->cluster.hex(), joined->node.hex(), data_dir);
    co_return kExitOk;
}

// Next to the S3 port, so that several nodes on one machine do not meet.
Result<std::string> admin_address(const Args& args, const std::string& s3) {
    const std::string given = args.value("admin").value_or("");
    if (given == "none") return std::string();
    if (!given.empty()) return given;
    const std::size_t colon = s3.rfind(':');
    const auto port = base::parse_u64(colon == std::string::npos ? "" : s3.substr(colon + 1));
    if (!port) return std::string();  // no S3, no metrics unless asked for
    if (*port == 0 || *port + kAdminPortStep > 65535) {
        return fail(Code::kInvalid, "say where the admin endpoint goes: -admin ADDRESS, or none");
    }
    return fmt::format("127.0.0.1:{}", *port + kAdminPortStep);
}

Result<node::Options> serve_options(const Args& args, const Console& console) {
    TRY_ASSIGN(node::Options options, node_options(args));
    options.replaces = args.value("replaces").value_or("");
    options.s3_address = args.is_on("no-s3") ? "" : args.at("s3");
    TRY_ASSIGN(options.admin_address, admin_address(args, options.s3_address));
    options.control_address = control_address(args.at("data-dir"));
    options.tls_cert = args.value("tls-cert").value_or("");
    options.tls_key = args.value("tls-key").value_or("");
    options.root = {env_or_empty(console, "HAMSTER_ACCESS_KEY_ID"),
                    env_or_empty(console, "HAMSTER_SECRET_ACCESS_KEY")};
    options.s3.region = args.at("region");
    options.s3.domain = args.value("domain").value_or("");
    options.s3.access_log = args.is_on("access-log");
    options.shards.accept_lost_segments = args.is_on("accept-lost-segments");
    return options;
}

// Control loop, but for nothing: signals are delivered there too.
struct Serving {
    runtime::Event stop_asked;
    bool was_removed = false;
    node::Node* node = nullptr;

    void on_signal(int signal) {
        if (signal == SIGHUP) {
            if (node == nullptr) return;
            auto reloaded = node->reload_tls();
            if (reloaded) {
                LOG_INFO("cli", "TLS certificate read again");
            } else {
                LOG_ERROR("cli", "the old TLS certificate stays: {}", reloaded.error().context);
            }
            return;
        }
        if (stop_asked.is_set()) ::_exit(kExitFailed);  // asked twice: at once
        LOG_INFO("cli", "stopping: requests under way may finish; once more to stop at once");
        stop_asked.set();
    }
};

// With a token: makes the directory a member first, unless it is one already.
Task<Result<void>> join_first(Loops* loops, node::Options options, std::string token) {
    auto names = co_await loops->control().disk.list("");
    if (names && std::ranges::find(*names, node::kFormatFile) != names->end()) {
        CO_TRY_ASSIGN(const crypto::JoinToken decoded, crypto::decode(token));
        auto claimed = co_await node::claim_data_dir(&loops->control().disk);
        CO_TRY_ASSIGN(const node::Identity identity, claimed);
        if (identity.cluster != decoded.terms.cluster) {
            co_return fail(Code::kInvalid,
                           "this data directory belongs to another cluster than the token: choose "
                           "an empty one");
        }
        LOG_INFO("cli", "this node has joined before: -token is not needed any more");
        co_return Result<void>{};
    }
    crypto::OsKeySource keys;
    auto joined = co_await node::join_data_dir(&loops->control(), &keys, std::move(options),
                                               std::move(token));
    CO_TRY(joined);
    LOG_INFO("cli", "joined cluster {} as node {}", joined->cluster.hex(), joined->node.hex());
    co_return Result<void>{};
}

Task<int> serve_main(Loops* loops, node::Options options, std::string token, Serving* serving,
                     Console* console) {
    crypto::OsKeySource keys;
    if (!token.empty()) {
        auto joined = co_await join_first(loops, options, std::move(token));
        if (!joined) co_return report_error(*console, joined.error());
    }
    const std::string scheme = options.tls_cert.empty() ? "http" : "https";
    const std::string s3 = options.s3_address;
    const std::string admin = options.admin_address;
    options.on_removed = [serving] {
        serving->was_removed = true;
        serving->stop_asked.set();
    };
    auto opened =
        co_await node::Node::open(&loops->control(), loops->io(), &keys, std::move(options));
    if (!opened) co_return report_error(*console, opened.error());
    const std::unique_ptr<node::Node> node = std::move(*opened);
    serving->node = node.get();
    console->err << fmt::format("hamster {} ready: {}, cluster {}{}\n", node::version(),
                                s3.empty() ? "no S3" : fmt::format("S3 {}://{}", scheme, s3),
                                node->cluster().address(),
                                admin.empty() ? "" : fmt::format(", admin http://{}", admin))
                 << std::flush;
    co_await serving->stop_asked.wait();
    serving->node = nullptr;
    co_await node->stop();
    LOG_INFO("cli", "stopped");
    co_return serving->was_removed ? kExitFailed : kExitOk;
}

}  // namespace

namespace {

Result<std::unique_ptr<Loops>> new_directory(const std::string& data_dir) {
    runtime::real::Options options;
    options.data_dir = data_dir;
    options.create_data_dir = true;
    options.io_loops = 1;
    return Loops::create(options);
}

}  // namespace

int run_init(const Args& args, Console& console) {
    const std::string data_dir = args.at("data-dir");
    auto described = node_options(args);
    if (!described) return report_error(console, described.error(), kExitUsage);
    auto loops = new_directory(data_dir);
    if (!loops) return report_error(console, loops.error());
    Loops* const raw = loops->get();
    return raw->run(init_main(raw, std::move(*described), data_dir, &console),
                    [](int) { ::_exit(kExitFailed); });
}

int run_join(const Args& args, Console& console) {
    const std::string data_dir = args.at("data-dir");
    auto described = node_options(args);
    if (!described) return report_error(console, described.error(), kExitUsage);
    described->replaces = args.value("replaces").value_or("");
    auto loops = new_directory(data_dir);
    if (!loops) return report_error(console, loops.error());
    Loops* const raw = loops->get();
    return raw->run(join_main(raw, std::move(*described), args.at("token"), data_dir, &console),
                    [](int) { ::_exit(kExitFailed); });
}

int run_serve(const Args& args, Console& console) {
    auto logging = set_up_log(args, console);
    if (!logging) return report_error(console, logging.error(), kExitUsage);
    auto made = serve_options(args, console);
    if (!made) return report_error(console, made.error(), kExitUsage);
    node::Options options = std::move(*made);
    const std::string token = args.value("token").value_or("");
    if (token.empty() && !options.replaces.empty()) {
        return report_error(
            console, {Code::kInvalid, "-replaces is for a node that joins: give -token, too"},
            kExitUsage);
    }
    if (options.tls_cert.empty() != options.tls_key.empty()) {
        return report_error(console, {Code::kInvalid, "-tls-cert and -tls-key belong together"},
                            kExitUsage);
    }
    auto root =
        admin::check_root_credential(options.root.access_key_id, options.root.secret_access_key);
    if (!root) return report_error(console, root.error(), kExitUsage);
    const std::string data_dir = args.at("data-dir");
    std::error_code ignored;
    if (token.empty() && !std::filesystem::is_directory(data_dir, ignored)) {
        return report_error(
            console,
            {Code::kNotFound, fmt::format("there is no data directory {0}: run `hamster init "
                                          "-data-dir {0}` first",
                                          data_dir)});
    }
    runtime::real::Options loop_options;
    loop_options.data_dir = data_dir;
    loop_options.create_data_dir = !token.empty();
    auto loops = Loops::create(loop_options);
    if (!loops) return report_error(console, loops.error());
    Loops* const raw = loops->get();
    Serving serving;
    return raw->run(serve_main(raw, std::move(options), token, &serving, &console),
                    [&serving](int signal) { serving.on_signal(signal); });
}

}  // namespace hamster::cli
