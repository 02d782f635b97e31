#include "s3/md5_lane.h"

#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "runtime/sim/simulator.h"

namespace hamster::s3 {
namespace {

runtime::Task<void> hash_in_pieces(runtime::World* world, const std::string* content,
                                   std::size_t piece, std::string* out) {
    Md5Lane lane(world);
    for (std::size_t at = 0; at < content->size(); at += piece) {
        co_await lane.update(
            base::as_bytes(*content).subspan(at, std::min(piece, content->size() - at)));
    }
    *out = co_await lane.finish();
    co_await lane.stop();
}

// Pieces pile up, run dry and straddle the lane's own size, whatever the pool's delays are.
TEST(Md5Lane, HashesWhatItIsGivenInOrder) {
    std::string content;
    for (int i = 0; i < 3'000'000; ++i) content.push_back(static_cast<char>(i * 7 + i / 256));
    const std::string expected = crypto::md5(base::as_bytes(content));
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        for (const std::size_t piece : {1'000'000UL, 262'144UL, 262'145UL, 33'333UL, 3'000'000UL}) {
            runtime::sim::Simulator sim(seed);
            std::string got;
            sim.run(hash_in_pieces(&sim.harness(), &content, piece, &got));
            EXPECT_EQ(got, expected) << seed << " " << piece;
        }
    }
}

TEST(Md5Lane, NothingHasADigestToo) {
    runtime::sim::Simulator sim(1);
    const std::string content;
    std::string got;
    sim.run(hash_in_pieces(&sim.harness(), &content, 1, &got));
    EXPECT_EQ(got, crypto::md5({}));
}

}  // namespace
}  // namespace hamster::s3
