// Runs the scripts of tests/s3_scripts against the operations: the whole stack of a node in the
// simulator, from the route table down to the simulated disk, without HTTP and signatures.
#include "s3/ops/script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "s3/ops/sim_stack.h"

namespace hamster::s3::ops {
namespace {

using runtime::Task;
using script::Actual;
using script::Case;
using script::Exchange;
using testing::Stack;

std::vector<QueryParam> parse_query(std::string_view raw) {
    std::vector<QueryParam> out;
    while (!raw.empty()) {
        const auto end = raw.find('&');
        const std::string_view pair = raw.substr(0, end);
        raw = end == std::string_view::npos ? std::string_view() : raw.substr(end + 1);
        const auto equals = pair.find('=');
        QueryParam param;
        param.name = base::uri_decode(pair.substr(0, equals)).value_or("");
        param.has_value = equals != std::string_view::npos;
        if (param.has_value) param.value = base::uri_decode(pair.substr(equals + 1)).value_or("");
        out.push_back(std::move(param));
    }
    return out;
}

RequestHead head_of(const Exchange& exchange, const script::Captures& captures) {
    RequestHead head;
    head.method = exchange.method;
    head.target = script::fill_in(exchange.target, captures);
    const auto question = head.target.find('?');
    head.raw_path = head.target.substr(0, question);
    if (question != std::string::npos) head.raw_query = head.target.substr(question + 1);
    head.query = parse_query(head.raw_query);
    for (const auto& [name, value] : exchange.headers) {
        std::string lower = name;
        std::ranges::transform(lower, lower.begin(),
                               [](unsigned char c) { return std::tolower(c); });
        head.headers.push_back({std::move(lower), script::fill_in(value, captures)});
    }
    if (!head.header("host")) head.headers.push_back({"host", "s3.test"});
    return head;
}

Task<Actual> exchange_once(Stack* stack, const Exchange* exchange,
                           const script::Captures* captures) {
    RequestHead head = head_of(*exchange, *captures);
    const std::string resource = head.raw_path;
    const bool is_head = head.method == "HEAD";
    auto performed = co_await testing::perform(stack, exchange->user, std::move(head),
                                               script::fill_in(exchange->body, *captures));
    Reply reply = performed ? std::move(*performed)
                            : error_reply(performed.error(), resource, "0123456789ABCDEF", is_head);
    Actual actual{reply.status, reply.headers, {}};
    std::uint64_t length = reply.stream ? reply.stream_length : reply.body.size();
    if (is_head) length = reply.head_length;
    actual.headers.emplace_back("Content-Length", std::to_string(length));
    auto body = co_await testing::body_of(&reply);
    if (!body) actual.status = -1;
    actual.body = std::move(body).value_or("");
    co_return actual;
}

Task<bool> ensure_user(Stack* stack, std::string name) {
    proto::Command command;
    proto::User& user = *command.mutable_put_user()->mutable_user();
    user.set_user_id(std::string(testing::identity_of(name).user.view()));
    user.set_name(name);
    auto answer = co_await stack->group->propose(std::move(command));
    co_return answer.has_value();
}

Task<void> run_case(Stack* stack, const Case* test, std::string file) {
    const bool opened = co_await stack->open();
    EXPECT_TRUE(opened);
    if (!opened) co_return;
    script::Captures captures;
    std::string known_user = "root";
    for (const Exchange& exchange : test->exchanges) {
        if (exchange.user != known_user && exchange.user != "root") {
            const bool made = co_await ensure_user(stack, exchange.user);
            EXPECT_TRUE(made);
        }
        known_user = exchange.user;
        // Time passes between requests, so that later ones have later stamps.
        co_await stack->world->clock.sleep(std::chrono::milliseconds(5 + exchange.wait_ms));
        const Actual actual = co_await exchange_once(stack, &exchange, &captures);
        const std::string difference = script::compare(exchange, actual, captures);
        if (!difference.empty()) {
            ADD_FAILURE() << file << ":" << exchange.line << ": " << exchange.method << " "
                          << exchange.target << "\n"
                          << difference;
        }
    }
    co_await stack->close();
}

std::vector<std::string> script_files() {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(HAMSTER_S3_SCRIPTS)) {
        if (entry.path().extension() == ".script") out.push_back(entry.path().string());
    }
    std::ranges::sort(out);
    return out;
}

class Scripts : public ::testing::TestWithParam<std::string> {};

TEST_P(Scripts, BehaveAsWritten) {
    std::ifstream in(GetParam(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    std::string problem;
    const std::vector<Case> cases = script::parse(text, &problem);
    ASSERT_EQ(problem, "") << GetParam();
    ASSERT_FALSE(cases.empty()) << GetParam();
    const std::string file = std::filesystem::path(GetParam()).filename().string();
    for (const Case& test : cases) {
        SCOPED_TRACE(test.name);
        runtime::sim::Simulator simulator(1);
        Stack stack;
        stack.settings.region = test.region;
        runtime::sim::Machine& machine = simulator.machine("node");
        stack.world = &machine.boot();
        bool done = false;
        runtime::Gate gate;
        runtime::spawn(stack.world->executor, gate, "case",
                       [](Stack* s, const Case* c, std::string f, bool* d) -> Task<void> {
                           co_await run_case(s, c, std::move(f));
                           *d = true;
                       }(&stack, &test, file, &done));
        EXPECT_TRUE(
            simulator.run_until([&] { return done && gate.count() == 0; }, std::chrono::hours(24)));
        machine.crash([&] {
            stack.objects.reset();
            stack.shards.reset();
            stack.router.reset();
            stack.group.reset();
        });
    }
}

INSTANTIATE_TEST_SUITE_P(S3, Scripts, ::testing::ValuesIn(script_files()), [](const auto& info) {
    std::string name = std::filesystem::path(info.param).stem().string();
    std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    return name;
});

// The runner must be able to fail.
TEST(Script, NoticesWhatDiffers) {
    Exchange exchange;
    exchange.status = 200;
    exchange.expected_headers = {{"ETag", "\"{etag}\""}};
    exchange.absent_headers = {"X-Other"};
    exchange.xml = "<A>{*}</A>";
    script::Captures captures;
    Actual actual{200, {{"etag", "\"abc\""}}, "<?xml version=\"1.0\"?>\n<A>1</A>"};
    EXPECT_EQ(script::compare(exchange, actual, captures), "");
    EXPECT_EQ(captures["etag"], "abc");
    actual.headers[0].second = "\"def\"";
    EXPECT_NE(script::compare(exchange, actual, captures), "");
    actual = {200, {{"ETag", "\"abc\""}, {"x-other", ""}}, "<A>1</A>"};
    EXPECT_NE(script::compare(exchange, actual, captures), "");
    actual = {200, {{"ETag", "\"abc\""}}, "<A><B/></A>"};
    EXPECT_NE(script::compare(exchange, actual, captures), "");
    actual = {404, {{"ETag", "\"abc\""}}, "<A>1</A>"};
    EXPECT_NE(script::compare(exchange, actual, captures), "");
    Exchange silent;
    silent.status = 200;
    EXPECT_NE(script::compare(silent, Actual{200, {}, "x"}, captures), "");
}

}  // namespace
}  // namespace hamster::s3::ops
