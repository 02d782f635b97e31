// Takes aws-chunked off a body.
#pragma once

#include <string>

#include "s3/aws_chunks.h"
#include "s3/byte_source.h"

namespace hamster::s3 {

class AwsChunkedSource final : public ByteSource {
  public:
    AwsChunkedSource(ByteSource* below, const PayloadPlan& plan) : below_(below), chunks_(plan) {}
    runtime::Task<S3Result<std::size_t>> read_some(base::MutableBytes out) override;
    // After read_some() answered 0.
    [[nodiscard]] const AwsChunks& chunks() const { return chunks_; }

  private:
    runtime::Task<S3Result<>> next_chunk();

    ByteSource* below_;
    AwsChunks chunks_;
    std::string buffer_;  // read ahead, for framing
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace hamster::s3
