// The policy document of a form, and the form's fields as a request.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/encoding.h"
#include "s3/form_reader.h"
#include "s3/post_policy.h"

using namespace hamster::s3;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const FormFields fields = {{"key", "a"}, {"tagging", std::string(text)}};
    (void)check_policy(hamster::base::base64_encode(hamster::base::as_bytes(text)), fields, "bkt",
                       0);
    (void)check_policy(text, fields, "bkt", 0);
    (void)head_of_form(RequestHead(), fields);
    (void)boundary_of(text);
    return 0;
}
