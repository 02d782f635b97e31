#include "erasure/field.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/property_test.h"
#include "erasure/matrix.h"

namespace hamster::erasure {
namespace {

// The product as it is defined: polynomials over GF(2), reduced at the end.
Element by_definition(Element a, Element b) {
    unsigned product = 0;
    for (unsigned i = 0; i < 8; ++i) {
        if (((a >> i) & 1U) != 0) product ^= static_cast<unsigned>(b) << i;
    }
    for (unsigned bit = 15; bit >= 8; --bit) {
        if (((product >> bit) & 1U) != 0) product ^= 0x11DU << (bit - 8);
    }
    return static_cast<Element>(product);
}

template <class Fn>
void for_all(Fn fn) {
    for (unsigned n = 0; n < 256; ++n) fn(static_cast<Element>(n));
}

TEST(Field, MultipliesAsDefined) {
    for_all([](Element a) {
        for_all([a](Element b) { ASSERT_EQ(multiply(a, b), by_definition(a, b)) << +a << +b; });
    });
}

TEST(Field, HasOneAndZero) {
    for_all([](Element a) {
        ASSERT_EQ(multiply(a, 1), a);
        ASSERT_EQ(multiply(a, 0), 0);
        ASSERT_EQ(add(a, a), 0);
    });
}

TEST(Field, EveryElementButZeroHasAnInverse) {
    EXPECT_EQ(invert(0), 0);
    for_all([](Element a) {
        if (a != 0) {
            ASSERT_EQ(multiply(a, invert(a)), 1) << +a;
        }
    });
}

TEST(Field, TwoGeneratesAllElementsButZero) {
    std::vector<bool> seen(256);
    Element power = 1;
    for (int i = 0; i < 255; ++i) {
        EXPECT_FALSE(seen[power]) << i;
        seen[power] = true;
        power = multiply(power, 2);
    }
    EXPECT_EQ(power, 1);
    EXPECT_FALSE(seen[0]);
}

TEST(Field, Laws) {
    for_all([](Element a) {
        for_all([a](Element b) {
            ASSERT_EQ(multiply(a, b), multiply(b, a));
            for (const Element c : {Element{1}, Element{2}, Element{0x1D}, Element{0x8E},
                                    Element{0x80}, Element{0xFF}}) {
                ASSERT_EQ(multiply(multiply(a, b), c), multiply(a, multiply(b, c)));
                ASSERT_EQ(multiply(add(a, b), c), add(multiply(a, c), multiply(b, c)));
            }
        });
    });
}

TEST(Matrix, GeneratorIsTheIdentityOverACauchyMatrix) {
    const Matrix rows = generator(4, 2);
    ASSERT_EQ(rows.rows(), 6U);
    ASSERT_EQ(rows.columns(), 4U);
    EXPECT_EQ(rows.select(std::vector<std::uint32_t>{0, 1, 2, 3}), Matrix::identity(4));
    for (std::uint32_t i = 4; i < 6; ++i) {
        for (std::uint32_t j = 0; j < 4; ++j) {
            EXPECT_EQ(multiply(rows.at(i, j), static_cast<Element>(i ^ j)), 1) << i << " " << j;
        }
    }
}

TEST(Matrix, GeneratorOfOneColumnCopies) {
    for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(generator(1, 3).at(i, 0), 1);
}

TEST(Matrix, InverseOfWhatNeedsRowSwaps) {
    Matrix matrix(3, 3);
    matrix.at(0, 2) = 7;
    matrix.at(1, 0) = 0x80;
    matrix.at(1, 2) = 3;
    matrix.at(2, 1) = 1;
    EXPECT_EQ(matrix.times(matrix.inverse()), Matrix::identity(3));
    EXPECT_EQ(matrix.inverse().times(matrix), Matrix::identity(3));
}

// What makes any k slices enough.
TEST(Matrix, AnyRowsOfTheGeneratorHaveAnInverse) {
    base::expect_property([] {
        const auto k = *rc::gen::inRange<std::uint32_t>(1, 33);
        const auto m = *rc::gen::inRange<std::uint32_t>(0, 33 - k);
        std::vector<std::uint32_t> rows;
        for (std::uint32_t left = k + m, need = k; need > 0; --left) {
            const auto row = k + m - left;
            if (*rc::gen::inRange<std::uint32_t>(0, left) < need) {
                rows.push_back(row);
                --need;
            }
        }
        const Matrix selected = generator(k, m).select(rows);
        RC_ASSERT(selected.times(selected.inverse()) == Matrix::identity(k));
    });
}

TEST(MatrixDeathTest, Misuse) {
    const Matrix zero(2, 2);
    EXPECT_DEATH(static_cast<void>(zero.inverse()), "pivot < rows_");
    EXPECT_DEATH(static_cast<void>(zero.times(Matrix(3, 1))), "columns_ == right.rows_");
    EXPECT_DEATH(static_cast<void>(Matrix(2, 3).inverse()), "rows_ == columns_");
    EXPECT_DEATH(static_cast<void>(zero.at(2, 0)), "row < rows_");
    EXPECT_DEATH(static_cast<void>(generator(0, 1)), "k >= 1");
}

}  // namespace
}  // namespace hamster::erasure
