// What a handler answers. The session adds Date, Server, x-amz-request-id, x-amz-id-2,
// Content-Length and Connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "objects/service.h"
#include "s3/error.h"

namespace hamster::s3 {

struct Reply {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;  // names as sent
    std::string body;
    // When set, streams `stream_length` bytes instead of `body`.
    std::unique_ptr<objects::BodyReader> stream;
    std::uint64_t stream_length = 0;
    // HEAD: Content-Length says this while no body is sent.
    std::uint64_t head_length = 0;
    bool is_head = false;

    Reply& header(std::string name, std::string value) {
        headers.emplace_back(std::move(name), std::move(value));
        return *this;
    }
};

Reply xml_reply(std::string xml, int status = 200);
// The error document (empty body for HEAD and 304). `resource` is the path as sent.
Reply error_reply(const S3Error& error, std::string_view resource, std::string_view request_id,
                  bool is_head);

}  // namespace hamster::s3
