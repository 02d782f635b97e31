// init and serve: the verbs that own a data directory.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <ostream>
#include <utility>

#include "base/log.h"
#include "cli/control_client.h"
#include "cli/verbs.h"
#include "node/node.h"
#include "runtime/real/loops.h"
#include "runtime/sync.h"

namespace hamster::cli {

using runtime::Task;
using runtime::real::Loops;

namespace {

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

Task<int> init_main(Loops* loops, std::string data_dir, Console* console) {
    crypto::OsKeySource keys;
    auto made = co_await node::init_data_dir(&loops->control(), &keys, node::Options{});
    if (!made) co_return report_error(*console, made.error());
    console->out << fmt::format(
        "Initialised {}: node {} of cluster {}.\nKeep {}/{} safe: without it no user's key opens.\n"
        "Next: hamster serve -data-dir {}\n",
        data_dir, made->node.hex(), made->cluster.hex(), data_dir, node::kSecretFile, data_dir);
    co_return kExitOk;
}

node::Options serve_options(const Args& args, const Console& console) {
    node::Options options;
    options.name = args.value("node").value_or("");
    options.s3_address = args.at("s3");
    options.admin_address = args.at("admin") == "none" ? "" : args.at("admin");
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

Task<int> serve_main(Loops* loops, node::Options options, Serving* serving, Console* console) {
    crypto::OsKeySource keys;
    const std::string scheme = options.tls_cert.empty() ? "http" : "https";
    const std::string s3 = options.s3_address;
    const std::string admin = options.admin_address;
    auto opened =
        co_await node::Node::open(&loops->control(), loops->io(), &keys, std::move(options));
    if (!opened) co_return report_error(*console, opened.error());
    const std::unique_ptr<node::Node> node = std::move(*opened);
    serving->node = node.get();
    console->err << fmt::format("hamster {} ready: S3 {}://{}{}\n", node::version(), scheme, s3,
                                admin.empty() ? "" : fmt::format(", admin http://{}", admin))
                 << std::flush;
    co_await serving->stop_asked.wait();
    serving->node = nullptr;
    co_await node->stop();
    LOG_INFO("cli", "stopped");
    co_return kExitOk;
}

}  // namespace

int run_init(const Args& args, Console& console) {
    const std::string data_dir = args.at("data-dir");
    runtime::real::Options options;
    options.data_dir = data_dir;
    options.create_data_dir = true;
    options.io_loops = 1;
    auto loops = Loops::create(options);
    if (!loops) return report_error(console, loops.error());
    Loops* const raw = loops->get();
    return raw->run(init_main(raw, data_dir, &console), [](int) { ::_exit(kExitFailed); });
}

int run_serve(const Args& args, Console& console) {
    auto logging = set_up_log(args, console);
    if (!logging) return report_error(console, logging.error(), kExitUsage);
    node::Options options = serve_options(args, console);
    if (options.tls_cert.empty() != options.tls_key.empty()) {
        return report_error(console, {Code::kInvalid, "-tls-cert and -tls-key belong together"},
                            kExitUsage);
    }
    auto root =
        admin::check_root_credential(options.root.access_key_id, options.root.secret_access_key);
    if (!root) return report_error(console, root.error(), kExitUsage);
    const std::string data_dir = args.at("data-dir");
    std::error_code ignored;
    if (!std::filesystem::is_directory(data_dir, ignored)) {
        return report_error(
            console,
            {Code::kNotFound, fmt::format("there is no data directory {0}: run `hamster init "
                                          "-data-dir {0}` first",
                                          data_dir)});
    }
    runtime::real::Options loop_options;
    loop_options.data_dir = data_dir;
    auto loops = Loops::create(loop_options);
    if (!loops) return report_error(console, loops.error());
    Loops* const raw = loops->get();
    Serving serving;
    return raw->run(serve_main(raw, std::move(options), &serving, &console),
                    [&serving](int signal) { serving.on_signal(signal); });
}

}  // namespace hamster::cli
