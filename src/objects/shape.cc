#include "objects/shape.h"

#include "shards/store.h"

namespace hamster::objects {

namespace {

template <class Row>
Result<Shape> read_shape(const Row& row) {
    const Shape shape{row.size(), {{row.k(), row.m()}, row.slice_bytes()}};
    const bool is_sound = shape.size > 0 && shape.geometry.slice_bytes <= shards::kSliceBytes &&
                          erasure::is_valid(shape.size, shape.geometry);
    if (!is_sound) return fail(Code::kCorrupt, "a blob has a shape that cannot be");
    return shape;
}

}  // namespace

Result<Shape> shape_of(const proto::Blob& blob) { return read_shape(blob); }
Result<Shape> shape_of(const proto::BlobPlace& place) { return read_shape(place); }

}  // namespace hamster::objects
