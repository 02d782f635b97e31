#include "runtime/real/disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/real/file.h"
#include "runtime/real/pool.h"
#include "runtime/real/test_loops.h"

namespace hamster::runtime::real {
namespace {

using base::Buffer;
using base::kBlock;

std::vector<Bytes> text(std::string_view content) { return {base::as_bytes(content)}; }

Buffer block(char fill, std::size_t size = kBlock) {
    Buffer buffer(size);
    buffer.resize(size);
    std::ranges::fill(buffer.writable(), static_cast<std::byte>(fill));
    return buffer;
}

Task<std::string> read_all(File* file) {
    std::string content(*file->size() + 10, '?');  // more than there is
    auto n = co_await file->read(0, into(&content));
    expect_ok(n);
    co_return content.substr(0, n.value_or(0));
}

Task<std::unique_ptr<File>> create(World* world, std::string path) {
    auto file = co_await world->disk.open(std::move(path), Disk::Mode::kCreate);
    expect_ok(file);
    co_return std::move(*file);
}

Task<void> read_and_write(World* world) {
    auto file = co_await create(world, "f");
    auto written = co_await file->write(3, text("hello"));
    expect_ok(written);
    auto synced = co_await file->sync();
    expect_ok(synced);
    const std::string content = co_await read_all(file.get());
    EXPECT_EQ(content, std::string("\0\0\0hello", 8));
    auto cut = co_await file->truncate(5);
    expect_ok(cut);
    EXPECT_EQ(*file->size(), 5U);
    std::string nothing(4, '?');
    auto n = co_await file->read(100, into(&nothing));
    EXPECT_EQ(*n, 0U);
    auto missing = co_await world->disk.open("absent", Disk::Mode::kRead);
    EXPECT_EQ(missing.error().code, Code::kNotFound);
}

TEST(RealDisk, ReadsWhatWasWritten) {
    const TempDir dir;
    auto loops = make_loops(dir.path());
    run_main(*loops, read_and_write(&loops->control()));
}

Task<void> write_durably(World* world) {
    auto file = co_await create(world, "f");
    const Buffer a = block('a');
    const Buffer b = block('b', 2 * kBlock);
    // More pieces than one system call takes.
    std::vector<Bytes> pieces(3000, a.bytes());
    pieces.push_back(b.bytes());
    auto written = co_await file->write_durable(kBlock, std::move(pieces));
    expect_ok(written);
    const std::string content = co_await read_all(file.get());
    EXPECT_EQ(content, std::string(kBlock, '\0') + std::string(3000 * kBlock, 'a') +
                           std::string(2 * kBlock, 'b'));
}

TEST(RealDisk, DurableWritesOfManyPieces) {
    const TempDir dir;
    auto loops = make_loops(dir.path());
    run_main(*loops, write_durably(&loops->control()));
}

TEST(RealDisk, DurableWritesWithoutDirectIo) {
    const TempDir dir;
    Fd fd(::open((dir.path() + "/f").c_str(), O_RDWR | O_CREAT, 0600));
    OpenFile file("f", std::move(fd), Fd());
    const Buffer a = block('a');
    expect_ok(file.write_durable(0, {a.bytes()}));
    expect_ok(file.allocate(0, 2 * kBlock, true));
    EXPECT_EQ(*file.size(), 2 * kBlock);
    std::string content(2 * kBlock, '?');
    EXPECT_EQ(*file.read(0, into(&content)), 2 * kBlock);
    EXPECT_EQ(content, std::string(2 * kBlock, '\0'));
}

// A file system that takes O_DIRECT at open and refuses it later: the read-only descriptor here
// stands in with another error, so only the fallback for EINVAL may be taken.
TEST(RealDisk, OtherErrorsOfDirectIoAreNotHidden) {
    const TempDir dir;
    Fd fd(::open((dir.path() + "/f").c_str(), O_RDWR | O_CREAT, 0600));
    Fd read_only(::open((dir.path() + "/f").c_str(), O_RDONLY));
    OpenFile file("f", std::move(fd), std::move(read_only));
    const Buffer a = block('a');
    EXPECT_FALSE(file.write_durable(0, {a.bytes()}).has_value());
}

TEST(RealDisk, FullDeviceIsNoSpace) {
    Fd fd(::open("/dev/full", O_RDWR));
    ASSERT_TRUE(static_cast<bool>(fd));
    OpenFile file("full", std::move(fd), Fd());
    EXPECT_EQ(file.write(0, text("x")).error().code, Code::kNoSpace);
}

Task<void> allocate_and_punch(World* world, std::string path) {
    auto file = co_await create(world, "f");
    auto reserved = co_await file->allocate(0, 64 * kBlock, true);
    expect_ok(reserved);
    EXPECT_EQ(*file->size(), 64 * kBlock);
    const Buffer data = block('x', 64 * kBlock);
    std::vector<Bytes> pieces{data.bytes()};
    auto written = co_await file->write_durable(0, std::move(pieces));
    expect_ok(written);
    struct stat before{};
    EXPECT_EQ(::stat(path.c_str(), &before), 0);
    auto punched = co_await file->punch(kBlock, 32 * kBlock);
    expect_ok(punched);
    struct stat after{};
    EXPECT_EQ(::stat(path.c_str(), &after), 0);
    EXPECT_EQ(after.st_size, before.st_size);
    EXPECT_LT(after.st_blocks, before.st_blocks);
    const std::string content = co_await read_all(file.get());
    EXPECT_EQ(content, std::string(kBlock, 'x') + std::string(32 * kBlock, '\0') +
                           std::string(31 * kBlock, 'x'));
}

TEST(RealDisk, AllocatesAndPunches) {
    const TempDir dir;
    auto loops = make_loops(dir.path());
    run_main(*loops, allocate_and_punch(&loops->control(), dir.path() + "/f"));
}

Task<void> use_tree(World* world) {
    auto made = co_await world->disk.make_dir("a/b");
    expect_ok(made);
    auto again = co_await world->disk.make_dir("a/b");
    expect_ok(again);
    auto one = co_await write_file(&world->disk, "a/b/2", "two");
    expect_ok(one);
    auto two = co_await write_file(&world->disk, "a/b/1", "one");
    expect_ok(two);
    auto names = co_await world->disk.list("a/b");
    EXPECT_EQ(*names, (std::vector<std::string>{"1", "2"}));
    auto replaced = co_await world->disk.rename("a/b/1", "a/b/2");
    expect_ok(replaced);
    auto content = co_await read_file(&world->disk, "a/b/2", 100);
    EXPECT_EQ(*content, "one");
    auto busy = co_await world->disk.remove("a/b");
    EXPECT_EQ(busy.error().code, Code::kConflict);
    auto removed = co_await world->disk.remove("a/b/2");
    expect_ok(removed);
    auto empty = co_await world->disk.remove("a/b");
    expect_ok(empty);
    auto synced = co_await world->disk.sync_dir("a");
    expect_ok(synced);
    auto missing = co_await world->disk.list("a/b");
    EXPECT_EQ(missing.error().code, Code::kNotFound);
    auto file = co_await create(world, "plain");
    auto not_dir = co_await world->disk.make_dir("plain");
    EXPECT_EQ(not_dir.error().code, Code::kAlreadyExists);
}

TEST(RealDisk, Tree) {
    const TempDir dir;
    auto loops = make_loops(dir.path());
    run_main(*loops, use_tree(&loops->control()));
    using std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(dir.path() + "/a").permissions(), perms::owner_all);
    EXPECT_EQ(std::filesystem::status(dir.path() + "/plain").permissions(),
              perms::owner_read | perms::owner_write);
}

TEST(RealDisk, LockIsExclusiveUntilTheDiskGoes) {
    const TempDir dir;
    ThreadPool pool(1, 1);
    auto first = open_disk(dir.path(), false, &pool);
    auto second = open_disk(dir.path() + "/", false, &pool);
    ASSERT_TRUE(first && second);
    expect_ok((*first)->lock("LOCK"));
    expect_ok((*first)->lock("LOCK"));
    EXPECT_EQ((*second)->lock("LOCK").error().code, Code::kConflict);
    first->reset();
    expect_ok((*second)->lock("LOCK"));
    EXPECT_EQ((*second)->real_path("kv"), std::filesystem::canonical(dir.path()) / "kv");
    const auto space = (*second)->space();
    EXPECT_GT(space->total_bytes, 0U);
    EXPECT_LE(space->free_bytes, space->total_bytes);
}

TEST(RealDisk, DataDirectoryIsMadeOnlyWhenAsked) {
    const TempDir dir;
    ThreadPool pool(1, 1);
    const std::string path = dir.path() + "/new/data";
    EXPECT_EQ(open_disk(path, false, &pool).error().code, Code::kNotFound);
    expect_ok(open_disk(path, true, &pool));
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace hamster::runtime::real
