#include "s3/request.h"

namespace hamster::s3 {

std::optional<std::string_view> RequestHead::header(std::string_view name) const {
    for (const Header& h : headers) {
        if (h.name == name) return h.value;
    }
    return std::nullopt;
}

std::optional<std::string_view> RequestHead::param(std::string_view name) const {
    for (const QueryParam& p : query) {
        if (p.name == name) return p.value;
    }
    return std::nullopt;
}

bool RequestHead::has_param(std::string_view name) const { return param(name).has_value(); }

std::string RequestHead::url() const {
    std::string out = secure ? "https://" : "http://";
    out += header("host").value_or("localhost");
    return out + raw_path;
}

}  // namespace hamster::s3
