// Byte views, and the one owning buffer of the data path: aligned, movable, never copied by
// accident.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace hamster::base {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Alignment of buffers, file offsets and lengths that O_DIRECT may meet, in bytes.
inline constexpr std::size_t kBlock = 4096;

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t unit) {
    return (n + unit - 1) / unit * unit;
}

// Owned memory aligned to kBlock. size() <= capacity(); growing the size inside the capacity does
// not initialise. Not thread-safe; may be moved between threads.
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(std::size_t capacity);  // size 0
    static Buffer copy_of(Bytes bytes);
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer();

    [[nodiscard]] std::byte* data() { return data_; }
    [[nodiscard]] const std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    void resize(std::size_t size);  // size <= capacity()
    void append(Bytes bytes);       // must fit the capacity
    [[nodiscard]] Bytes bytes() const { return {data_, size_}; }
    [[nodiscard]] MutableBytes writable() { return {data_, size_}; }
    [[nodiscard]] MutableBytes spare() { return {data_ + size_, capacity_ - size_}; }

  private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace hamster::base
