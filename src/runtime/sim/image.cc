#include "runtime/sim/image.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace hamster::runtime::sim {

namespace {

// Calls piece(page, begin, end) for the part of [offset, offset + length) in each page.
template <class Piece>
void for_pages(std::uint64_t offset, std::uint64_t length, Piece piece) {
    const std::uint64_t end = offset + length;
    while (offset < end) {
        const std::uint64_t page = offset / kPage;
        const std::uint64_t stop = std::min(end, (page + 1) * kPage);
        piece(page, offset - page * kPage, stop - page * kPage);
        offset = stop;
    }
}

}  // namespace

std::uint64_t Image::missing_pages(std::uint64_t offset, std::uint64_t length) const {
    if (length == 0) return 0;
    const std::uint64_t first = offset / kPage;
    const std::uint64_t last = (offset + length - 1) / kPage;
    const auto have = std::distance(pages_.lower_bound(first), pages_.upper_bound(last));
    return last - first + 1 - static_cast<std::uint64_t>(have);
}

std::size_t Image::read(std::uint64_t offset, base::MutableBytes out) const {
    if (offset >= size_) return 0;
    const std::size_t n = std::min<std::uint64_t>(out.size(), size_ - offset);
    std::byte* to = out.data();
    for_pages(offset, n, [&](std::uint64_t page, std::uint64_t begin, std::uint64_t end) {
        const auto found = pages_.find(page);
        if (found == pages_.end() || found->second == nullptr) {
            std::memset(to, 0, end - begin);
        } else {
            std::memcpy(to, found->second->data() + begin, end - begin);
        }
        to += end - begin;
    });
    return n;
}

std::byte* Image::own(std::uint64_t page) {
    auto& held = pages_[page];
    if (held == nullptr) {
        held = std::make_shared<Page>();
    } else if (held.use_count() > 1) {
        held = std::make_shared<Page>(*held);
    }
    return held->data();
}

void Image::write(std::uint64_t offset, base::Bytes bytes) {
    const std::byte* from = bytes.data();
    for_pages(offset, bytes.size(),
              [&](std::uint64_t page, std::uint64_t begin, std::uint64_t end) {
                  std::memcpy(own(page) + begin, from, end - begin);
                  from += end - begin;
              });
    grow(offset + bytes.size());
}

void Image::zero(std::uint64_t offset, std::uint64_t length) {
    for_pages(offset, length, [&](std::uint64_t page, std::uint64_t begin, std::uint64_t end) {
        const auto found = pages_.find(page);
        if (found == pages_.end() || found->second == nullptr) return;
        if (end - begin == kPage) {
            found->second = nullptr;
        } else {
            std::memset(own(page) + begin, 0, end - begin);
        }
    });
}

void Image::reserve(std::uint64_t offset, std::uint64_t length) {
    for_pages(offset, length, [&](std::uint64_t page, std::uint64_t, std::uint64_t) {
        pages_.try_emplace(page, nullptr);
    });
    grow(offset + length);
}

void Image::punch(std::uint64_t offset, std::uint64_t length) {
    zero(offset, length);
    const std::uint64_t first = (offset + kPage - 1) / kPage;
    const std::uint64_t end = (offset + length) / kPage;
    if (first < end) pages_.erase(pages_.lower_bound(first), pages_.lower_bound(end));
}

void Image::resize(std::uint64_t size) {
    if (size < size_) {
        // The rest of the last page must read as zeros when the file grows again.
        const std::uint64_t last = (size + kPage - 1) / kPage * kPage;
        zero(size, last - size);
        pages_.erase(pages_.lower_bound(last / kPage), pages_.end());
    }
    size_ = size;
}

void Image::grow(std::uint64_t size) { size_ = std::max(size_, size); }

void Image::flip_bit(std::uint64_t bit) {
    const std::uint64_t page = bit / 8 / kPage;
    if (!pages_.contains(page)) return;
    own(page)[bit / 8 % kPage] ^= static_cast<std::byte>(1U << (bit % 8));
}

}  // namespace hamster::runtime::sim
