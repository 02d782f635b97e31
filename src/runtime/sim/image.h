// The content of a simulated file: sparse 4 KiB pages, shared between copies until written.
// A page is a hole (absent), reserved and zero (null), or data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "base/bytes.h"

namespace hamster::runtime::sim {

inline constexpr std::uint64_t kPage = 4096;

class Image {
  public:
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] std::uint64_t mapped_pages() const { return pages_.size(); }
    // Pages a write or reservation of this range would have to add.
    [[nodiscard]] std::uint64_t missing_pages(std::uint64_t offset, std::uint64_t length) const;

    // Fewer bytes than asked only at the end.
    std::size_t read(std::uint64_t offset, base::MutableBytes out) const;
    void write(std::uint64_t offset, base::Bytes bytes);       // grows the size
    void zero(std::uint64_t offset, std::uint64_t length);     // what is mapped; keeps the size
    void reserve(std::uint64_t offset, std::uint64_t length);  // maps; grows the size
    void punch(std::uint64_t offset, std::uint64_t length);    // unmaps; keeps the size
    void resize(std::uint64_t size);
    void grow(std::uint64_t size);     // never shrinks
    void flip_bit(std::uint64_t bit);  // of mapped data; a hole stays a hole

  private:
    using Page = std::array<std::byte, kPage>;
    std::byte* own(std::uint64_t page);  // for writing

    std::uint64_t size_ = 0;
    std::map<std::uint64_t, std::shared_ptr<Page>> pages_;
};

}  // namespace hamster::runtime::sim
