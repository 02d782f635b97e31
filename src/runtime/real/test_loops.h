// For tests of this room: one process-like Loops with a temporary data directory.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "runtime/real/loops.h"
#include "runtime/sync.h"

namespace hamster::runtime::real {

class TempDir {
  public:
    TempDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "hamster-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() { std::filesystem::remove_all(path_); }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline std::unique_ptr<Loops> make_loops(const std::string& data_dir, std::size_t io_loops = 1) {
    auto loops = Loops::create({.io_loops = io_loops, .pool_threads = 2, .data_dir = data_dir});
    EXPECT_TRUE(loops.has_value());
    return std::move(*loops);
}

inline Task<int> zero_after(Task<void> task) {
    co_await std::move(task);
    co_return 0;
}

// Runs `task` on the control loop.
inline void run_main(Loops& loops, Task<void> task) {
    EXPECT_EQ(loops.run(zero_after(std::move(task)), {}), 0);
}

template <class T>
void expect_ok(const Result<T>& result) {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().context);
}

inline MutableBytes into(std::string* text) {
    return {reinterpret_cast<std::byte*>(text->data()), text->size()};
}

}  // namespace hamster::runtime::real
