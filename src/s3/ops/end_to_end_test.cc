// The whole front door over a whole node in the simulator: bytes on a connection in, bytes out.
#include <gtest/gtest.h>

#include "s3/ops/owner.h"
#include "s3/ops/sim_stack.h"
#include "s3/session_scene.h"

namespace hamster::s3::ops {
namespace {

using runtime::Task;
using s3::testing::count;
using s3::testing::FakeCredentials;
using s3::testing::has;
using s3::testing::kAlice;
using testing::Stack;

struct Door {
    Stack stack;
    FakeCredentials credentials;  // alice is root here
    std::unique_ptr<Server> server;
    std::unique_ptr<Context> context;

    std::string request(const std::string& method, const std::string& path, const std::string& body,
                        std::vector<Header> headers = {}) const {
        RequestHead head;
        head.method = method;
        head.raw_path = path;
        head.headers = std::move(headers);
        head.headers.push_back({"host", "h"});
        sign_request(head, kAlice, stack.world->clock.unix_ms(), sha256_hex(body));
        std::string out = method + " " + path + " HTTP/1.1\r\n";
        for (const Header& h : head.headers) out += h.name + ": " + h.value + "\r\n";
        return out + "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }

    Task<std::string> exchange(std::string text) {
        std::string reply;
        const runtime::Time deadline = stack.world->clock.now() + std::chrono::seconds(100);
        auto stream = co_await stack.world->network.connect("127.0.0.1:9000", deadline);
        EXPECT_TRUE(stream.has_value());
        if (!stream) co_return reply;
        (*stream)->set_deadline(deadline);
        std::vector<base::Bytes> pieces{base::as_bytes(text)};
        auto written = co_await (*stream)->write(std::move(pieces));
        EXPECT_TRUE(written.has_value());
        std::vector<std::byte> piece(65536);
        while (true) {
            auto n = co_await (*stream)->read_some(piece);
            if (!n || *n == 0) co_return reply;
            reply.append(reinterpret_cast<const char*>(piece.data()), *n);
        }
    }
};

using Story = Task<void> (*)(Door* door);

Task<void> tell(Door* door, Story story) {
    const bool opened = co_await door->stack.open();
    EXPECT_TRUE(opened);
    door->context = std::make_unique<Context>(Context{door->stack.world, door->stack.objects.get(),
                                                      &door->stack.settings, &door->stack.metrics});
    door->server = std::make_unique<Server>(door->context.get(), &door->credentials, handler_of,
                                            ServerOptions());
    auto listener = door->stack.world->network.listen("127.0.0.1:9000", nullptr);
    EXPECT_TRUE(listener.has_value());
    door->server->start(std::move(*listener));
    co_await story(door);
    co_await door->server->drain(std::chrono::seconds(5));
    door->server.reset();
    co_await door->stack.close();
}

void on_a_node(Story story) {
    runtime::sim::Simulator simulator(1);
    runtime::sim::Machine& machine = simulator.machine("node");
    Door door;
    door.stack.world = &machine.boot();
    EXPECT_TRUE(simulator.run_on(machine, tell(&door, story)));
    machine.crash([&] {
        door.stack.objects.reset();
        door.stack.shards.reset();
        door.stack.router.reset();
        door.stack.group.reset();
    });
}

Task<void> upload_a_form(Door* door) {
    std::string reply = co_await door->exchange(door->request("PUT", "/bkt", ""));
    EXPECT_TRUE(has(reply, "HTTP/1.1 200 OK\r\n")) << reply;
    const std::string form = s3::testing::form_upload(*door->stack.world, "up/", "0,100");
    reply = co_await door->exchange(form + door->request("GET", "/bkt/up/a.txt", ""));
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 204 No Content\r\n")) << reply;
    EXPECT_TRUE(has(reply, "Location: http://h/bkt/up/a.txt\r\n")) << reply;
    EXPECT_TRUE(reply.ends_with("\r\n\r\nline\r\n--X not the end")) << reply;
    // A form that its policy does not admit stores nothing.
    const std::string refused = s3::testing::form_upload(*door->stack.world, "up/", "0,3");
    reply = co_await door->exchange(door->request("DELETE", "/bkt/up/a.txt", "") + refused);
    EXPECT_TRUE(has(reply, "<Code>EntityTooLarge</Code>")) << reply;
    reply = co_await door->exchange(door->request("GET", "/bkt/up/a.txt", ""));
    EXPECT_TRUE(has(reply, "<Code>NoSuchKey</Code>")) << reply;
}
TEST(EndToEnd, PostObject) { on_a_node(upload_a_form); }

Task<void> empty_with_expect(Door* door) {
    std::string reply = co_await door->exchange(door->request("PUT", "/bkt", ""));
    const std::vector<Header> expect = {{"expect", "100-continue"}};
    reply = co_await door->exchange(door->request("PUT", "/bkt/empty", "", expect) +
                                    door->request("PUT", "/bkt/full", "text", expect));
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")) << reply;
    EXPECT_EQ(count(reply, "HTTP/1.1 200 OK\r\n"), 2) << reply;
    EXPECT_EQ(count(reply, "ETag: "), 2) << reply;
}
TEST(EndToEnd, AnEmptyObjectThatWasAnnounced) { on_a_node(empty_with_expect); }

Task<void> many_owners(Door* door) {
    for (const char* name : {"ann", "bob"}) {
        proto::Command command;
        proto::User& user = *command.mutable_put_user()->mutable_user();
        user.set_user_id(std::string(testing::identity_of(name).user.view()));
        user.set_name(name);
        auto answer = co_await door->stack.group->propose(std::move(command));
        EXPECT_TRUE(answer.has_value());
    }
    auto viewed = co_await door->stack.group->view();
    EXPECT_TRUE(viewed.has_value());
    if (!viewed) co_return;
    OwnerNames owners(&*viewed);
    const std::string ann(testing::identity_of("ann").user.view());
    const auto first = owners.find(ann);
    const auto other = owners.find(std::string(testing::identity_of("bob").user.view()));
    const auto root = owners.find(std::string(16, '\0'));
    const auto again = owners.find(ann);
    EXPECT_TRUE(first && other && root && again);
    if (!first || !other || !root || !again) co_return;
    EXPECT_EQ((*first)->name, "ann");
    EXPECT_EQ((*other)->name, "bob");
    EXPECT_EQ((*root)->name, "root");
    EXPECT_EQ(*first, *again) << "looked up once";
}
TEST(EndToEnd, OwnersAreRemembered) { on_a_node(many_owners); }

}  // namespace
}  // namespace hamster::s3::ops
