// Small dense matrices over GF(2^8), and the generator matrix of the code. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/assert.h"
#include "erasure/field.h"

namespace hamster::erasure {

class Matrix {
  public:
    Matrix(std::uint32_t rows, std::uint32_t columns)
        : rows_(rows), columns_(columns), elements_(std::size_t{rows} * columns) {}
    static Matrix identity(std::uint32_t n);

    [[nodiscard]] std::uint32_t rows() const { return rows_; }
    [[nodiscard]] std::uint32_t columns() const { return columns_; }
    [[nodiscard]] Element& at(std::uint32_t row, std::uint32_t column) {
        return elements_[index(row, column)];
    }
    [[nodiscard]] Element at(std::uint32_t row, std::uint32_t column) const {
        return elements_[index(row, column)];
    }
    bool operator==(const Matrix&) const = default;

    // These rows, in this order.
    [[nodiscard]] Matrix select(std::span<const std::uint32_t> rows) const;
    [[nodiscard]] Matrix times(const Matrix& right) const;
    // Of a square matrix that has an inverse; that it has one is asserted.
    [[nodiscard]] Matrix inverse() const;

  private:
    [[nodiscard]] std::size_t index(std::uint32_t row, std::uint32_t column) const {
        HAMSTER_ASSERT(row < rows_ && column < columns_, row, column, rows_, columns_);
        return std::size_t{row} * columns_ + column;
    }
    void swap_rows(std::uint32_t a, std::uint32_t b);
    void scale_row(std::uint32_t row, Element factor);
    // row += factor * other
    void add_row(std::uint32_t row, Element factor, std::uint32_t other);

    std::uint32_t rows_;
    std::uint32_t columns_;
    std::vector<Element> elements_;
};

// The k+m rows that make the slices from the k data slices: the identity, then for row i >= k the
// Cauchy row 1 / (i ^ j). Any k rows of it can be inverted. For k = 1 all rows are 1: copies.
Matrix generator(std::uint32_t k, std::uint32_t m);

}  // namespace hamster::erasure
