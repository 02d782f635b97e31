// A connection that breaks, or lies, at every single byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "rpc/scene.h"

namespace hamster::rpc::testing {
namespace {

// What happens to the byte number `at` that is written, or read: the connection breaks in front of
// it, or one bit of it is flipped.
struct Damage {
    bool of_reads = false;
    bool cut = false;
    std::size_t at = 0;
    std::size_t bit = 0;
    std::size_t written = 0;
    std::size_t read = 0;
    int writes = 0;
};

class DamagedStream final : public runtime::Stream {
  public:
    DamagedStream(StreamPtr inner, Damage* damage) : inner_(std::move(inner)), damage_(damage) {}
    Task<Result<std::size_t>> read_some(base::MutableBytes out) override {
        return read(inner_.get(), damage_, out);
    }
    Task<Result<void>> write(std::vector<base::Bytes> pieces) override {
        return write_all(inner_.get(), damage_, std::move(pieces));
    }
    void set_deadline(Time deadline) override { inner_->set_deadline(deadline); }
    Task<void> shutdown() override { return inner_->shutdown(); }
    void close() override { inner_->close(); }
    std::string peer() const override { return inner_->peer(); }

  private:
    static Task<Result<std::size_t>> read(Stream* inner, Damage* damage, base::MutableBytes out) {
        if (damage->of_reads && damage->cut) {
            out = out.first(std::min(out.size(), damage->at - damage->read));
            if (out.empty()) {
                inner->close();
                co_return fail(Code::kClosed, "cut");
            }
        }
        auto n = co_await inner->read_some(out);
        CO_TRY(n);
        const std::size_t began = std::exchange(damage->read, damage->read + *n);
        if (damage->of_reads && damage->at >= began && damage->at < damage->read) {
            out[damage->at - began] ^= std::byte{1} << damage->bit;
        }
        co_return n;
    }
    static Task<Result<void>> write_all(Stream* inner, Damage* damage,
                                        std::vector<base::Bytes> pieces) {
        std::string bytes;
        for (const base::Bytes piece : pieces) bytes += base::as_text(piece);
        const std::size_t began = std::exchange(damage->written, damage->written + bytes.size());
        ++damage->writes;
        const bool here = !damage->of_reads && damage->at >= began && damage->at < damage->written;
        if (here && damage->cut) bytes.resize(damage->at - began);
        if (here && !damage->cut) {
            char& byte = bytes[damage->at - began];
            byte = static_cast<char>(byte ^ (1 << damage->bit));
        }
        std::vector<base::Bytes> whole{base::as_bytes(bytes)};
        auto written = co_await inner->write(std::move(whole));
        CO_TRY(written);
        if (here && damage->cut) {
            co_await inner->shutdown();
            inner->close();
            co_return fail(Code::kClosed, "cut");
        }
        co_return Result<void>();
    }

    StreamPtr inner_;
    Damage* damage_;
};

constexpr std::size_t kHelloFrame = kFrameHeaderBytes + 37;
constexpr std::size_t kRequestFrame = kFrameHeaderBytes + 12;  // "twelve bytes"
constexpr std::size_t kAnswerFrame = kFrameHeaderBytes + 15;   // "re:" and these

// One call through the damage, one after it: the first is lost and says so, and ran only when its
// request was whole; the second finds a new connection.
void check(Damage damage, std::uint64_t seed) {
    Scene scene(seed);
    Node& a = scene.node(1);
    Node& b = scene.node(2);
    a.wrap = [&damage](StreamPtr inner) -> StreamPtr {
        return std::make_unique<DamagedStream>(std::move(inner), &damage);
    };
    const auto lost = scene.get(a.call(b, kEcho, "twelve bytes"));
    ASSERT_FALSE(lost.has_value()) << damage.at << " " << damage.bit;
    EXPECT_EQ(lost.error().code, Code::kUnavailable) << lost.error().context;
    // Whether the request leaves before the read that fails: not when that is the very first.
    const std::size_t first = damage.cut ? kHelloFrame + 1 : kHelloFrame;
    const bool request_was_whole = damage.of_reads && damage.at >= first;
    EXPECT_EQ(b.handler.runs.size(), request_was_whole ? 1U : 0U) << damage.at;
    a.wrap = nullptr;
    EXPECT_EQ(scene.get(a.call(b, kEcho, "again")), "re:again");
    EXPECT_EQ(a.dials.size(), 2U);
}

TEST(RpcDamage, CutAtEveryByteWritten) {
    for (std::size_t at = 0; at < kHelloFrame + kRequestFrame; ++at) {
        check({.cut = true, .at = at}, at);
    }
}

TEST(RpcDamage, CutAtEveryByteRead) {
    for (std::size_t at = 0; at < kHelloFrame + kAnswerFrame; ++at) {
        check({.of_reads = true, .cut = true, .at = at}, at);
    }
}

TEST(RpcDamage, EveryBitWritten) {
    for (std::size_t bit = 0; bit < (kHelloFrame + kRequestFrame) * 8; ++bit) {
        check({.at = bit / 8, .bit = bit % 8}, bit);
    }
}

TEST(RpcDamage, EveryBitRead) {
    for (std::size_t bit = 0; bit < (kHelloFrame + kAnswerFrame) * 8; ++bit) {
        check({.of_reads = true, .at = bit / 8, .bit = bit % 8}, bit);
    }
}

TEST(RpcDamage, NothingHappensBeyondTheEnd) {
    Scene scene(1);
    Node& a = scene.node(1);
    Node& b = scene.node(2);
    Damage damage{.at = 100'000'000};
    a.wrap = [&damage](StreamPtr inner) -> StreamPtr {
        return std::make_unique<DamagedStream>(std::move(inner), &damage);
    };
    EXPECT_TRUE(scene.get(a.call(b, kEcho, "twelve bytes")).has_value());
    EXPECT_EQ(damage.written, kHelloFrame + kRequestFrame);
    EXPECT_EQ(damage.read, kHelloFrame + kAnswerFrame);
    // Frames that wait together leave together.
    const int before = damage.writes;
    for (int i = 0; i < 100; ++i) a.peers->post(b.id, Lane::kControl, kEcho, "small");
    EXPECT_TRUE(scene.sim.run_until([&] { return b.handler.posts.size() == 100; }, seconds(1)));
    EXPECT_LE(damage.writes - before, 4);
}

}  // namespace
}  // namespace hamster::rpc::testing
