#include "node/node.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "runtime/sim/simulator.h"

namespace hamster::node {
namespace {

using runtime::Micros;
using runtime::Task;
using runtime::sim::Simulator;

Options small() {
    Options options;
    options.s3_address = "0.0.0.0:9000";
    options.admin_address = "0.0.0.0:9001";
    options.control_address = "0.0.0.0:9002";
    options.root = {"hamster", "keep-this-one-secret"};
    options.fit_to_disk = false;
    options.shards.segment_bytes = 4U << 20U;
    options.shards.small_segment_bytes = 1U << 20U;
    options.meta.wal_file_bytes = 1U << 20U;
    return options;
}

// A process on a machine: its keys and its node.
struct Process {
    explicit Process(runtime::World* w) : world(w), keys(&w->random) {}
    runtime::World* world;
    crypto::PredictableKeySource keys;
    std::unique_ptr<Node> node;
    std::optional<Error> error;
};

Task<void> init(Process* process) {
    auto made = co_await init_data_dir(process->world, &process->keys, small());
    if (!made) process->error = made.error();
}

Task<void> serve(Process* process) {
    std::vector<runtime::World*> io{process->world};
    auto opened = co_await Node::open(process->world, std::move(io), &process->keys, small());
    if (!opened) {
        process->error = opened.error();
        co_return;
    }
    process->node = std::move(*opened);
}

Task<void> stop(Process* process) { co_await process->node->stop(); }

Task<void> fetch(runtime::World* client, std::string address, std::string request,
                 std::string* out) {
    out->clear();
    const runtime::Time deadline = client->clock.now() + Micros(60'000'000);
    auto connected = co_await client->network.connect(std::move(address), deadline);
    if (!connected) co_return;
    const std::unique_ptr<runtime::Stream> stream = std::move(*connected);
    std::vector<base::Bytes> pieces{base::as_bytes(request)};
    auto written = co_await stream->write(std::move(pieces));
    if (!written) co_return;
    std::string chunk(4096, '\0');
    while (true) {
        auto got = co_await stream->read_some(
            base::MutableBytes(reinterpret_cast<std::byte*>(chunk.data()), chunk.size()));
        if (!got || *got == 0) co_return;
        out->append(chunk.data(), *got);
    }
}

class NodeTest : public ::testing::Test {
  protected:
    void boot() { process_ = std::make_unique<Process>(&machine_.boot()); }
    void crash() {
        machine_.crash([this] { process_.reset(); });
    }
    void found() {
        boot();
        ASSERT_TRUE(sim_.run_on(machine_, init(process_.get())));
        ASSERT_FALSE(process_->error) << process_->error->context;
        crash();
    }
    void start() {
        boot();
        ASSERT_TRUE(sim_.run_on(machine_, serve(process_.get())));
        ASSERT_FALSE(process_->error) << process_->error->context;
    }
    void stop_and_end() {
        ASSERT_TRUE(sim_.run_on(machine_, stop(process_.get())));
        crash();
    }
    std::string ask(std::string port, std::string request) {
        std::string answer;
        sim_.run(fetch(&sim_.harness(), "a:" + port, std::move(request), &answer));
        return answer;
    }
    std::string get(std::string port, const std::string& path) {
        return ask(std::move(port), "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    std::string post(const std::string& path, const std::string& body) {
        return ask("9002", "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                               std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    Simulator sim_{11};
    runtime::sim::Machine& machine_ = sim_.machine("a");
    std::unique_ptr<Process> process_;
};

TEST_F(NodeTest, BootsStopsCrashesAndBootsAgain) {
    found();
    if (HasFatalFailure()) return;
    for (int i = 0; i < 3; ++i) {
        start();
        if (HasFatalFailure()) return;
        EXPECT_TRUE(get("9001", "/readyz").starts_with("HTTP/1.1 200 "));
        EXPECT_TRUE(get("9001", "/healthz").starts_with("HTTP/1.1 200 "));
        if (i == 1) {
            crash();
        } else {
            stop_and_end();
        }
    }
}

TEST_F(NodeTest, AdminAnswersWhatItKnowsAndNothingElse) {
    found();
    start();
    if (HasFatalFailure()) return;
    const std::string metrics = get("9001", "/metrics");
    EXPECT_NE(metrics.find("hamster_build_info{version=\""), std::string::npos);
    EXPECT_NE(metrics.find("\nhamster_ready 1\n"), std::string::npos);
    EXPECT_NE(metrics.find("\nhamster_objects 0\n"), std::string::npos);
    EXPECT_TRUE(get("9001", "/").starts_with("HTTP/1.1 404 "));
    EXPECT_TRUE(get("9001", "/v1/users").starts_with("HTTP/1.1 404 "));
    EXPECT_TRUE(
        ask("9001", "POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 405 "));
    EXPECT_TRUE(ask("9001", "GET /metrics HTTP/1.1\nHost: a\n\n").starts_with("HTTP/1.1 4"));
    EXPECT_TRUE(ask("9001", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
                    .starts_with("HTTP/1.1 413 "));
    stop_and_end();
}

TEST_F(NodeTest, UsersLiveThroughTheControlApi) {
    found();
    start();
    if (HasFatalFailure()) return;
    const std::string made = post("/v1/users/create", R"({"name":"ann"})");
    EXPECT_TRUE(made.starts_with("HTTP/1.1 200 ")) << made;
    EXPECT_NE(made.find("\"access_key_id\":\""), std::string::npos);
    EXPECT_NE(made.find("\"secret_access_key\":\""), std::string::npos);
    EXPECT_TRUE(post("/v1/users/create", R"({"name":"ann"})").starts_with("HTTP/1.1 409 "));
    EXPECT_TRUE(post("/v1/users/create", R"({"name":"root"})").starts_with("HTTP/1.1 400 "));
    EXPECT_TRUE(post("/v1/users/create", R"({"name":7})").starts_with("HTTP/1.1 400 "));
    EXPECT_TRUE(post("/v1/users/create", "nonsense").starts_with("HTTP/1.1 400 "));
    EXPECT_TRUE(post("/v1/users/disable", R"({"name":"bob"})").starts_with("HTTP/1.1 404 "));
    EXPECT_TRUE(post("/v1/users/disable", R"({"name":"ann"})").starts_with("HTTP/1.1 200 "));
    const std::string list = get("9002", "/v1/users");
    EXPECT_NE(list.find(R"("name":"ann")"), std::string::npos);
    EXPECT_NE(list.find(R"("disabled":true)"), std::string::npos);
    EXPECT_EQ(list.find("secret"), std::string::npos);
    EXPECT_TRUE(get("9002", "/v1/users/create").starts_with("HTTP/1.1 405 "));
    EXPECT_NE(get("9002", "/v1/status").find(R"("state":"serving")"), std::string::npos);
    crash();
    start();
    if (HasFatalFailure()) return;
    EXPECT_NE(get("9002", "/v1/users").find(R"("name":"ann")"), std::string::npos);
    EXPECT_TRUE(post("/v1/users/delete", R"({"name":"ann"})").starts_with("HTTP/1.1 200 "));
    EXPECT_EQ(get("9002", "/v1/users").find(R"("name":"ann")"), std::string::npos);
    stop_and_end();
}

Task<void> follow_a_user(Process* process) {
    Node* node = process->node.get();
    admin::Identities& identities = node->identities();
    admin::Credentials credentials(small().root, &node->objects().router(), &identities);
    auto root = co_await credentials.find("hamster");
    EXPECT_TRUE(root && *root && (*root)->identity.is_root());
    auto nobody = co_await credentials.find("NOBODY");
    EXPECT_TRUE(nobody && !*nobody);
    auto made = co_await identities.create_user("ann");
    EXPECT_TRUE(made.has_value());
    EXPECT_EQ(made->access_key_id.size(), 20U);
    EXPECT_EQ(made->secret_access_key.size(), 40U);
    for (int i = 0; i < 2; ++i) {  // looked up, then remembered
        auto ann = co_await credentials.find(made->access_key_id);
        EXPECT_TRUE(ann && *ann);
        EXPECT_EQ((*ann)->secret, made->secret_access_key);
        EXPECT_EQ((*ann)->identity.name, "ann");
        EXPECT_FALSE((*ann)->identity.is_root());
    }
    auto disabled = co_await identities.set_disabled("ann", true);
    EXPECT_TRUE(disabled.has_value());
    auto refused = co_await credentials.find(made->access_key_id);
    EXPECT_TRUE(refused && !*refused);
    auto enabled = co_await identities.set_disabled("ann", false);
    EXPECT_TRUE(enabled.has_value());
    auto second = co_await identities.create_key("ann");
    EXPECT_TRUE(second.has_value());
    auto revoked = co_await identities.revoke_key(made->access_key_id);
    EXPECT_TRUE(revoked.has_value());
    refused = co_await credentials.find(made->access_key_id);
    EXPECT_TRUE(refused && !*refused);
    auto kept = co_await credentials.find(second->access_key_id);
    EXPECT_TRUE(kept && *kept && (*kept)->secret == second->secret_access_key);
    auto again = co_await identities.revoke_key(made->access_key_id);
    EXPECT_EQ(again.error().code, Code::kNotFound);
}

TEST_F(NodeTest, CredentialsFollowEveryChangeAtOnce) {
    found();
    start();
    if (HasFatalFailure()) return;
    EXPECT_TRUE(sim_.run_on(machine_, follow_a_user(process_.get())));
    stop_and_end();
}

TEST_F(NodeTest, WeakRootCredentialsAreRefused) {
    found();
    if (HasFatalFailure()) return;
    for (const auto& [id, secret] : std::vector<std::pair<std::string, std::string>>{
             {"", ""},
             {"hamster", ""},
             {"hamster", "short"},
             {"minioadmin", "minioadmin"},
             {"admin", "password"},
             {"AKIAIOSFODNN7EXAMPLE", "something-long"},
             {"a b", "long-enough"}}) {
        const auto checked = admin::check_root_credential(id, secret);
        ASSERT_FALSE(checked.has_value()) << id;
        EXPECT_NE(checked.error().context.find("HAMSTER_"), std::string::npos);
    }
    EXPECT_TRUE(admin::check_root_credential("hamster", "keep-this-one-secret").has_value());
}

Task<void> put_file(runtime::World* world, std::string path, std::string content) {
    auto written = co_await runtime::write_file(&world->disk, std::move(path), std::move(content));
    EXPECT_TRUE(written.has_value());
}

TEST_F(NodeTest, StoresOfAnotherClusterAreRefusedUntouched) {
    found();
    if (HasFatalFailure()) return;
    boot();
    Identity other;
    other.cluster.raw.fill(std::byte{7});
    other.node.raw.fill(std::byte{8});
    ASSERT_TRUE(sim_.run_on(
        machine_, put_file(process_->world, std::string(kFormatFile), format_identity(other))));
    const auto vote = machine_.durable_content("meta/vote");
    ASSERT_TRUE(vote.has_value());
    ASSERT_TRUE(sim_.run_on(machine_, serve(process_.get())));
    ASSERT_TRUE(process_->error);
    EXPECT_NE(process_->error->context.find("another cluster"), std::string::npos);
    EXPECT_EQ(machine_.durable_content("meta/vote"), vote);
    crash();
}

TEST_F(NodeTest, AnEmptyDirectoryOfSegmentsIsRefused) {
    found();
    if (HasFatalFailure()) return;
    for (const char* name : {"segments.here", "00000001.small", "00000002.small"}) {
        const std::string path = std::string("shards/segments/") + name;
        if (machine_.durable_content(path)) machine_.remove_file(path);
    }
    boot();
    ASSERT_TRUE(sim_.run_on(machine_, serve(process_.get())));
    ASSERT_TRUE(process_->error);
    EXPECT_NE(process_->error->context.find("shards/segments/"), std::string::npos);
    crash();
}

// An init that is interrupted anywhere can be repeated, and the node it makes then serves.
TEST(NodeInit, CrashesAtEveryBoundary) {
    for (std::uint64_t boundary = 1;; ++boundary) {
        SCOPED_TRACE(boundary);
        ASSERT_LT(boundary, 2000U);
        Simulator sim(boundary);
        auto& machine = sim.machine("a");
        auto process = std::make_unique<Process>(&machine.boot());
        machine.crash_at_io(boundary, [&] { machine.crash([&] { process.reset(); }); });
        const bool survived = sim.run_on(machine, init(process.get()));
        if (survived) {
            machine.disarm_crash();
            ASSERT_FALSE(process->error) << process->error->context;
            machine.crash([&] { process.reset(); });
        }
        process = std::make_unique<Process>(&machine.boot());
        ASSERT_TRUE(sim.run_on(machine, init(process.get())));
        // kAlreadyExists: the first one had done everything.
        if (process->error) {
            ASSERT_EQ(process->error->code, Code::kAlreadyExists) << process->error->context;
            process->error.reset();
        }
        machine.crash([&] { process.reset(); });
        process = std::make_unique<Process>(&machine.boot());
        ASSERT_TRUE(sim.run_on(machine, serve(process.get())));
        ASSERT_FALSE(process->error) << process->error->context;
        machine.crash([&] { process.reset(); });
        if (survived) break;
    }
}

}  // namespace
}  // namespace hamster::node
