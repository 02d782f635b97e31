#include "s3/md5_lane.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "crypto/digest.h"

namespace hamster::s3 {

using runtime::Task;

namespace {

// Pieces hashed by one job: others wait for the same threads.
constexpr int kPiecesPerJob = 8;

}  // namespace

// Shared between a job on the pool and the loop. `digest` belongs to the job while there is one.
struct Md5Lane::Shared {
    explicit Shared(runtime::Executor loop) : executor(std::move(loop)) {}

    std::mutex mutex;
    std::deque<base::Buffer> filled;  // under mutex
    std::vector<base::Buffer> spare;  // under mutex
    bool has_job = false;             // under mutex: somebody works through `filled`, or will
    bool loop_waits = false;          // under mutex
    crypto::Digest digest{crypto::DigestKind::kMd5};

    runtime::Executor executor;
    runtime::Signal changed;      // the loop's
    std::size_t pieces_made = 0;  // the loop's
};

// On the pool. False when nothing is left to do: the job is over.
bool Md5Lane::hash_next(const std::shared_ptr<Shared>& shared) {
    base::Buffer piece;
    {
        const std::lock_guard lock(shared->mutex);
        if (shared->filled.empty()) {
            shared->has_job = false;
            return false;
        }
        piece = std::move(shared->filled.front());
        shared->filled.pop_front();
    }
    shared->digest.update(piece.bytes());
    piece.resize(0);
    bool wakes = false;
    {
        const std::lock_guard lock(shared->mutex);
        shared->spare.push_back(std::move(piece));
        wakes = std::exchange(shared->loop_waits, false);
    }
    if (wakes) {
        runtime::asio::post(shared->executor, [shared] { shared->changed.notify_all(); });
    }
    return true;
}

Task<void> Md5Lane::run(runtime::World* world, std::shared_ptr<Shared> shared) {
    bool more = true;
    while (more) {
        auto job = [shared] {
            for (int i = 0; i < kPiecesPerJob; ++i) {
                if (!hash_next(shared)) return false;
            }
            return true;
        };
        more = co_await runtime::run_blocking(&world->pool, std::move(job),
                                              runtime::WorkKind::kComputes);
    }
    shared->changed.notify_all();
}

Md5Lane::Shared& Md5Lane::shared() {
    if (!shared_) shared_ = std::make_shared<Shared>(world_->executor);
    return *shared_;
}

// An empty piece; without capacity when there is none now, and a notification will follow.
base::Buffer Md5Lane::take_spare() {
    Shared& mine = shared();
    {
        const std::lock_guard lock(mine.mutex);
        if (!mine.spare.empty()) {
            base::Buffer piece = std::move(mine.spare.back());
            mine.spare.pop_back();
            return piece;
        }
        if (mine.pieces_made == kPieces) {
            mine.loop_waits = true;
            return {};
        }
    }
    ++mine.pieces_made;
    return base::Buffer(kPieceBytes);
}

Task<void> Md5Lane::update(base::Bytes bytes) {
    while (!bytes.empty()) {
        base::Buffer piece = take_spare();
        while (piece.capacity() == 0) {
            co_await shared_->changed.wait();
            piece = take_spare();
        }
        piece.append(bytes.first(std::min(bytes.size(), kPieceBytes)));
        bytes = bytes.subspan(piece.size());
        bool has_job = true;
        {
            const std::lock_guard lock(shared_->mutex);
            shared_->filled.push_back(std::move(piece));
            has_job = std::exchange(shared_->has_job, true);
        }
        if (!has_job) runtime::spawn(world_->executor, gate_, "md5", run(world_, shared_));
    }
}

bool Md5Lane::is_busy() {
    const std::lock_guard lock(shared().mutex);
    return shared_->has_job;
}

Task<std::string> Md5Lane::finish() {
    while (is_busy()) {
        co_await shared_->changed.wait();
    }
    co_return shared_->digest.finish();
}

}  // namespace hamster::s3
