#include "base/bytes.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace hamster::base {

Buffer::Buffer(std::size_t capacity) : capacity_(round_up(capacity, kBlock)) {
    if (capacity_ == 0) return;
    data_ = static_cast<std::byte*>(std::aligned_alloc(kBlock, capacity_));
    HAMSTER_ASSERT(data_ != nullptr, capacity);
}

Buffer Buffer::copy_of(Bytes bytes) {
    Buffer buffer(bytes.size());
    buffer.append(bytes);
    return buffer;
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
}

Buffer::~Buffer() { std::free(data_); }

void Buffer::resize(std::size_t size) {
    HAMSTER_ASSERT(size <= capacity_, size, capacity_);
    size_ = size;
}

void Buffer::append(Bytes bytes) {
    HAMSTER_ASSERT(bytes.size() <= capacity_ - size_, bytes.size(), size_, capacity_);
    if (!bytes.empty()) std::memcpy(data_ + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
}

}  // namespace hamster::base
