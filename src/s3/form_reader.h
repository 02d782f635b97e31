// multipart/form-data (RFC 7578) of a browser upload, streaming: the fields first, in memory and
// bounded; then the file, which must be the last part, as a ByteSource.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "s3/byte_source.h"
#include "s3/form_fields.h"

namespace hamster::s3 {

inline constexpr std::size_t kMaxFormBytes = 64 * 1024;  // all before the file; S3: 20 KB of fields
inline constexpr std::size_t kMaxFormFields = 100;

// The boundary of a content-type; empty when there is none or it is malformed.
std::string boundary_of(std::string_view content_type);

class FormReader final : public ByteSource {
  public:
    FormReader(ByteSource* below, std::string boundary);

    // Reads up to the first byte of the file. MalformedPOSTRequest.
    runtime::Task<S3Result<>> read_fields();
    [[nodiscard]] const FormFields& fields() const { return fields_; }
    [[nodiscard]] const std::string& file_name() const { return file_name_; }
    // The file. The end is answered when the closing boundary has come; a part after the file is
    // refused.
    runtime::Task<S3Result<std::size_t>> read_some(base::MutableBytes out) override;

  private:
    struct PartHeader {
        std::string name;
        std::string file_name;
        std::string content_type;
    };
    runtime::Task<S3Result<>> more();
    runtime::Task<S3Result<std::string>> read_until(std::string mark);
    runtime::Task<S3Result<>> read_closing();
    static S3Result<PartHeader> parse_part_header(std::string_view text);

    ByteSource* below_;
    std::string delimiter_;  // CRLF "--" boundary
    std::string buffer_;     // received, not used; begins at begin_
    std::size_t begin_ = 0;
    std::size_t used_before_file_ = 0;
    bool at_file_ = false;
    bool ended_ = false;
    FormFields fields_;
    std::string file_name_;
};

}  // namespace hamster::s3
