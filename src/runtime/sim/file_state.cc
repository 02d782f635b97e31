#include "runtime/sim/file_state.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace hamster::runtime::sim {

namespace {

void apply_to(Image& image, const FileChange& change) {
    switch (change.kind) {
        case FileChange::Kind::kWrite:
            image.write(change.offset, base::as_bytes(change.data));
            return;
        case FileChange::Kind::kReserve:
            image.reserve(change.offset, change.length);
            return;
        case FileChange::Kind::kZero:
            image.reserve(change.offset, change.length);
            image.zero(change.offset, change.length);
            return;
        case FileChange::Kind::kPunch:
            image.punch(change.offset, change.length);
            return;
        case FileChange::Kind::kTruncate:
            image.resize(change.offset);
            return;
    }
}

// A write of which a part arrived: any subset of its sectors, a prefix that ends anywhere, or
// nothing but the file's new size.
void tear_write(Image& image, const FileChange& change, Random& random) {
    const base::Bytes bytes = base::as_bytes(change.data);
    if (bytes.empty()) return;
    const std::uint64_t how = random.below(5);
    if (how < 2) {
        image.write(change.offset, bytes.first(random.below(bytes.size())));
    } else if (how < 4) {
        std::uint64_t at = 0;
        while (at < bytes.size()) {
            // Up to the next sector border of the file.
            const std::uint64_t border = (change.offset + at) / kSector * kSector + kSector;
            const std::uint64_t n = std::min(border - change.offset - at, bytes.size() - at);
            if (random.below(2) == 0) image.write(change.offset + at, bytes.subspan(at, n));
            at += n;
        }
    }
    // The inode may know the new size although the data never came.
    if (random.below(2) == 0) image.grow(change.offset + bytes.size());
}

void tear(Image& image, FileChange change, Random& random) {
    switch (change.kind) {
        case FileChange::Kind::kWrite:
            return tear_write(image, change, random);
        case FileChange::Kind::kReserve:
        case FileChange::Kind::kZero:
        case FileChange::Kind::kPunch:
            change.length = random.below(change.length / kPage + 1) * kPage;
            if (change.length != 0) apply_to(image, change);
            return;
        case FileChange::Kind::kTruncate:  // one inode update: all or nothing
            return;
    }
}

// Decides for one change that nobody was promised.
void resolve(Image& image, const FileChange& change, Random& random) {
    switch (random.below(3)) {
        case 0:
            return apply_to(image, change);
        case 1:
            return tear(image, change, random);
        default:
            return;
    }
}

// Truncation concerns everything behind it; holes and reservations change sizes too.
bool overlap(const FileChange& a, const FileChange& b) {
    if (a.kind == FileChange::Kind::kTruncate || b.kind == FileChange::Kind::kTruncate) return true;
    return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

}  // namespace

void FileState::apply(FileChange change) {
    apply_to(cached_, change);
    pending_.push_back(Pending{next_++, Stage::kCached, std::move(change)});
}

ChangeNumber FileState::begin_durable(FileChange change) {
    pending_.push_back(Pending{next_++, Stage::kInFlight, std::move(change)});
    return pending_.back().number;
}

void FileState::finish_durable(ChangeNumber number) {
    const auto at = std::ranges::find(pending_, number, &Pending::number);
    HAMSTER_ASSERT(at != pending_.end() && at->stage == Stage::kInFlight, number);
    apply_to(cached_, at->change);
    at->stage = Stage::kDurable;
    at->number = next_++;
    pending_.splice(pending_.end(), pending_, at);  // it took effect only now
    settle();
}

void FileState::fail_durable(ChangeNumber number, Random& random) {
    const auto at = std::ranges::find(pending_, number, &Pending::number);
    HAMSTER_ASSERT(at != pending_.end() && at->stage == Stage::kInFlight, number);
    Pending failed = std::move(*at);
    pending_.erase(at);
    // The same outcome on the disk and in what is read back.
    Prng outcome(random.next());
    Prng again = outcome;
    resolve(durable_, failed.change, outcome);
    resolve(cached_, failed.change, again);
}

Image FileState::certain() const {
    Image image = durable_;
    for (const Pending& pending : pending_) {
        if (pending.stage == Stage::kDurable) apply_to(image, pending.change);
    }
    return image;
}

void FileState::finish_sync(ChangeNumber mark) {
    for (auto& pending : pending_) {
        if (pending.number < mark && pending.stage == Stage::kCached) {
            pending.stage = Stage::kDurable;
        }
    }
    settle();
}

void FileState::fail_sync(ChangeNumber mark) {
    std::erase_if(pending_, [mark](const Pending& pending) {
        return pending.number < mark && pending.stage == Stage::kCached;
    });
    settle();
}

void FileState::settle() {
    for (auto at = pending_.begin(); at != pending_.end();) {
        const bool blocked = at->stage != Stage::kDurable ||
                             std::any_of(pending_.begin(), at, [&](const Pending& older) {
                                 return overlap(older.change, at->change);
                             });
        if (blocked) {
            ++at;
            continue;
        }
        apply_to(durable_, at->change);
        at = pending_.erase(at);
    }
}

void FileState::crash(Random& random) {
    for (const auto& pending : pending_) {
        if (pending.stage == Stage::kDurable) {
            apply_to(durable_, pending.change);
        } else {
            resolve(durable_, pending.change, random);
        }
    }
    pending_.clear();
    cached_ = durable_;
}

void FileState::flip_bit(std::uint64_t bit) {
    cached_.flip_bit(bit);
    durable_.flip_bit(bit);
}

}  // namespace hamster::runtime::sim
