// For tests of faults between machines: two machines, "a" which listens and "b" which connects, and
// one connection between them whose operations a test starts one by one.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/sim/simulator.h"
#include "runtime/sync.h"

namespace hamster::runtime::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What one task of a machine has come to.
struct Outcome {
    bool done = false;
    std::optional<Code> failed;
    std::string text;  // what was read
    Time at{};
};

// A machine that runs, and what its process holds.
struct Process {
    explicit Process(Machine* on) : machine(on), world(&on->boot()) {}
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    Machine* machine;
    World* world;
    Gate gate;
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> stream;

    void start(Task<void> task) { spawn(world->executor, gate, "test", std::move(task)); }
};

inline Task<void> accept_into(Process* on) {
    auto stream = co_await on->listener->accept();
    if (stream) on->stream = std::move(*stream);
}

inline Task<void> connect_into(Process* on, std::shared_ptr<const NodeTls> tls, Time deadline,
                               Outcome* out) {
    Result<std::unique_ptr<Stream>> stream = fail(Code::kNotFound, "");
    if (tls == nullptr) {
        stream = co_await on->world->network.connect("a:7000", deadline);
    } else {
        stream = co_await on->world->network.connect_node("a:7000", tls, deadline);
    }
    out->done = true;
    out->at = on->world->clock.now();
    if (!stream) {
        out->failed = stream.error().code;
    } else {
        on->stream = std::move(*stream);
    }
}

inline Task<void> read_into(Process* on, Outcome* out) {
    std::string chunk(100'000, '\0');
    auto n = co_await on->stream->read_some(
        MutableBytes(reinterpret_cast<std::byte*>(chunk.data()), chunk.size()));
    out->done = true;
    out->at = on->world->clock.now();
    if (!n) {
        out->failed = n.error().code;
    } else {
        out->text += chunk.substr(0, *n);
    }
}

// Until the end of the stream or an error.
inline Task<void> read_all_into(Process* on, Outcome* out) {
    for (;;) {
        const std::size_t before = out->text.size();
        co_await read_into(on, out);
        const bool over = out->failed.has_value() || out->text.size() == before;
        out->done = over;
        if (over) co_return;
    }
}

inline Task<void> write_from(Process* on, std::string content, Outcome* out) {
    std::vector<Bytes> pieces{base::as_bytes(content)};
    auto written = co_await on->stream->write(std::move(pieces));
    out->done = true;
    out->at = on->world->clock.now();
    if (!written) out->failed = written.error().code;
}

inline Task<void> shut_down(Process* on) { co_await on->stream->shutdown(); }

inline Task<void> shake(Process* on, Outcome* out) {
    auto shaken = co_await on->stream->handshake();
    out->done = true;
    out->at = on->world->clock.now();
    if (!shaken) out->failed = shaken.error().code;
}

struct FaultScene {
    explicit FaultScene(std::uint64_t seed = 1) : sim(seed) {
        a = std::make_unique<Process>(&sim.machine("a"));
        b = std::make_unique<Process>(&sim.machine("b"));
    }
    FaultScene(const FaultScene&) = delete;
    FaultScene& operator=(const FaultScene&) = delete;
    ~FaultScene() {
        crash(a);
        crash(b);
    }

    static void crash(std::unique_ptr<Process>& process) {
        if (process == nullptr) return;
        Machine* const machine = process->machine;
        machine->crash([&] { process.reset(); });
    }
    void listen(std::shared_ptr<const NodeTls> tls) {
        Network& network = a->world->network;
        auto made = tls == nullptr ? network.listen("10.0.0.1:7000", nullptr)
                                   : network.listen_nodes("10.0.0.1:7000", std::move(tls));
        ASSERT_TRUE(made.has_value());
        a->listener = std::move(*made);
        a->start(accept_into(a.get()));
    }
    void connect(Outcome* out, Time deadline = Time::never(),
                 std::shared_ptr<const NodeTls> tls = nullptr) {
        b->start(connect_into(b.get(), std::move(tls), deadline, out));
    }
    // A plain connection between the two.
    void meet() {
        Outcome connected;
        listen(nullptr);
        connect(&connected);
        settle();
        ASSERT_TRUE(a->stream != nullptr && b->stream != nullptr);
    }
    // Longer than anything on its way takes.
    void settle() { sim.run_for(milliseconds(100)); }

    Simulator sim;
    std::unique_ptr<Process> a;
    std::unique_ptr<Process> b;
};

}  // namespace hamster::runtime::sim
