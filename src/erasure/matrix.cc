#include "erasure/matrix.h"

#include <utility>

namespace hamster::erasure {

Matrix Matrix::identity(std::uint32_t n) {
    Matrix matrix(n, n);
    for (std::uint32_t i = 0; i < n; ++i) matrix.at(i, i) = 1;
    return matrix;
}

Matrix Matrix::select(std::span<const std::uint32_t> rows) const {
    Matrix selected(static_cast<std::uint32_t>(rows.size()), columns_);
    for (std::uint32_t i = 0; i < selected.rows(); ++i) {
        for (std::uint32_t j = 0; j < columns_; ++j) selected.at(i, j) = at(rows[i], j);
    }
    return selected;
}

Matrix Matrix::times(const Matrix& right) const {
    HAMSTER_ASSERT(columns_ == right.rows_, columns_, right.rows_);
    Matrix product(rows_, right.columns_);
    for (std::uint32_t i = 0; i < rows_; ++i) {
        for (std::uint32_t j = 0; j < right.columns_; ++j) {
            Element sum = 0;
            for (std::uint32_t n = 0; n < columns_; ++n) {
                sum = add(sum, multiply(at(i, n), right.at(n, j)));
            }
            product.at(i, j) = sum;
        }
    }
    return product;
}

void Matrix::swap_rows(std::uint32_t a, std::uint32_t b) {
    for (std::uint32_t j = 0; j < columns_; ++j) std::swap(at(a, j), at(b, j));
}

void Matrix::scale_row(std::uint32_t row, Element factor) {
    for (std::uint32_t j = 0; j < columns_; ++j) at(row, j) = multiply(at(row, j), factor);
}

void Matrix::add_row(std::uint32_t row, Element factor, std::uint32_t other) {
    for (std::uint32_t j = 0; j < columns_; ++j) {
        at(row, j) = add(at(row, j), multiply(factor, at(other, j)));
    }
}

// Gauss-Jordan: what turns `left` into the identity turns the identity into the inverse.
Matrix Matrix::inverse() const {
    HAMSTER_ASSERT(rows_ == columns_, rows_, columns_);
    Matrix left = *this;
    Matrix right = identity(rows_);
    for (std::uint32_t column = 0; column < columns_; ++column) {
        std::uint32_t pivot = column;
        while (pivot < rows_ && left.at(pivot, column) == 0) ++pivot;
        HAMSTER_ASSERT(pivot < rows_, column);  // else it has no inverse
        left.swap_rows(pivot, column);
        right.swap_rows(pivot, column);
        const Element scale = invert(left.at(column, column));
        left.scale_row(column, scale);
        right.scale_row(column, scale);
        for (std::uint32_t row = 0; row < rows_; ++row) {
            const Element factor = left.at(row, column);
            if (row == column || factor == 0) continue;
            left.add_row(row, factor, column);
            right.add_row(row, factor, column);
        }
    }
    HAMSTER_ASSERT(left == identity(rows_), rows_);
    return right;
}

Matrix generator(std::uint32_t k, std::uint32_t m) {
    HAMSTER_ASSERT(k >= 1 && k + m <= 256, k, m);
    Matrix rows(k + m, k);
    for (std::uint32_t i = 0; i < k; ++i) rows.at(i, i) = 1;
    for (std::uint32_t i = k; i < k + m; ++i) {
        for (std::uint32_t j = 0; j < k; ++j) {
            // i >= k > j, so i ^ j is not 0.
            rows.at(i, j) = k == 1 ? Element{1} : invert(static_cast<Element>(i ^ j));
        }
    }
    return rows;
}

}  // namespace hamster::erasure
